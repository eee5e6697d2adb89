"""Rollouts: samples of a problem's programs with their verdicts, and the worker that makes them for training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import astuple, dataclass

from languages import Language
from policy.ranks import ALONE, Ranks
from policy.samplers.sampler import Completion, Sampling
from problems.problem import Problem
from problems.prompt import Template
from problems.task import Stdio, prompt_hash
from rollout.draw import Answer, LocalModel, Question, draw
from sandbox.executor import Executor
from sandbox.job import Verdict


@dataclass
class Rollout:
    """One sample of one problem, and what became of it. Reward, advantage and gap are filled in later."""

    problem: Problem
    prompt: str
    prompt_tokens: list[int]
    completion: Completion
    program: str | None
    verdict: Verdict
    reward: float | None = None  # None: infrastructure error, or not yet known
    advantage: float = 0.0
    masked: bool = False  # kept out of the update altogether
    language: str = ""  # its name
    prompt_sha256: str = ""  # of the prompt's words, before the chat template
    sampler_gap: float | None = None  # mean |trainer's - sampler's log-prob|, nats per token; None: not trained on


@dataclass
class RolloutStats:
    """What making rollouts took: seconds of sampling (verification runs beside it) and of waiting for verdicts."""

    sample: float = 0.0
    wait: float = 0.0
    tokens: int = 0  # sampled
    programs: int = 0
    passed: int = 0  # of them

    def __add__(self, other: RolloutStats) -> RolloutStats:
        return RolloutStats(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @classmethod
    def of(cls, rollouts: Sequence[Rollout]) -> RolloutStats:
        """The counts of rollouts that are there; no time."""
        tokens = sum(len(rollout.completion.tokens) for rollout in rollouts)
        return cls(tokens=tokens, programs=len(rollouts), passed=sum(rollout.verdict.passed for rollout in rollouts))


@dataclass(frozen=True)
class RolloutWorker:
    """Samples and verifies: each rank its share, and every rank gets all rollouts."""

    model: LocalModel
    pool: Executor
    rule: str = "default"  # of sandbox/answer: how a program is found in a completion
    ranks: Ranks = ALONE
    template: Template | None = None  # the user's own wording of prompts

    def task(self, problems: Sequence[Problem], language: Language) -> Stdio:
        """How problems are asked and answers read."""
        return Stdio(problems, language, self.rule, template=self.template)

    def roll_out(
        self,
        problems: Sequence[Problem],
        languages: Language | Sequence[Language],
        n: int,
        sampling: Sampling,
        seed: int,
        all_tests: bool = False,
    ) -> tuple[list[Rollout], RolloutStats]:
        """`n` rollouts of each problem, those of one problem together, in the problems' order.

        `languages` is the language of all problems, or of each. A completion's seed depends on its place in the whole
        batch, not on which rank draws it. `all_tests` runs every test of a program, also after one has failed.
        """
        each = [languages] * len(problems) if isinstance(languages, Language) else languages
        questions = [
            Question(self.task([problem], language), problem) for problem, language in zip(problems, each, strict=True)
        ]
        pending: dict[int, tuple[Answer, str | None, Future[Verdict]]] = {}

        def note(index: int, answer: Answer, program: str | None, verdict: Future[Verdict]) -> None:
            pending[index] = answer, program, verdict

        mine = self.ranks.share(len(problems) * n)
        started = time.perf_counter()
        draw(questions, n, self.model, self.pool, sampling, seed, note, mine, all_tests)
        sampled = time.perf_counter()
        prompts = [question.prompt for question in questions]
        texts = [self.model.text(prompt) for prompt in prompts]
        tokens = [self.model.encode(prompt) for prompt in prompts]
        rollouts = []
        for index in mine:
            answer, program, verdict = pending[index]
            number = index // n
            assert answer.completion is not None
            rollouts.append(
                Rollout(
                    problems[number],
                    texts[number],
                    tokens[number],
                    answer.completion,
                    program,
                    verdict.result(),
                    language=each[number].name,
                    prompt_sha256=prompt_hash(prompts[number]),
                )
            )
        waited = time.perf_counter()
        rollouts = self.ranks.all_gather(rollouts)
        stats = RolloutStats.of(rollouts)
        # Of the slowest rank; one that only trains has drawn nothing, in no time.
        times = self.ranks.all_gather([(sampled - started, waited - started)])
        stats.sample, ready = (max(seconds) for seconds in zip(*times, strict=True))
        stats.wait = ready - stats.sample
        return rollouts, stats

"""Rollouts: problems -> prompts -> completions -> programs -> verdicts. `train.py` and `evaluate.py` share this road.

A completion is handed to the sandbox the moment it is complete, so that verification hides behind generation.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import astuple, dataclass

from base import checks
from base.errors import DataError
from languages import Language
from policy.model import Policy
from policy.ranks import ALONE, Ranks
from policy.samplers.sampler import Completion, Sampler, Sampling
from problems.problem import Problem
from sandbox import answer
from sandbox.executor import Executor
from sandbox.job import Job, Verdict


@dataclass
class Rollout:
    """One sample of one problem, and what became of it. `reward` and `advantage` are the trainer's to fill in."""

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


@dataclass
class Phases:
    """Seconds spent: sampling (verification runs beside it) and waiting for verdicts after it."""

    sample: float = 0.0
    wait: float = 0.0
    tokens: int = 0  # sampled
    programs: int = 0
    passed: int = 0  # of them

    def __add__(self, other: Phases) -> Phases:
        return Phases(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def derive_seed(*parts: object) -> int:
    """A seed for one purpose of one step, a pure function of its parts: resuming needs no generator's state."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")


def roll_out(
    policy: Policy,
    sampler: Sampler,
    pool: Executor,
    problems: Sequence[Problem],
    spoken: Language | Sequence[Language],
    n: int,
    sampling: Sampling,
    seed: int,
    rule: str = "default",
    ranks: Ranks = ALONE,
    all_tests: bool = False,
) -> tuple[list[Rollout], Phases]:
    """`n` rollouts of each problem, those of one problem together, in the problems' order.

    `spoken` is the language of all problems, or of each. Each rank samples and verifies its share; all get all. `rule`
    names the rule of `sandbox.answer` that finds the program; `all_tests` runs them all, also after one failed.
    """
    tongues = [spoken] * len(problems) if isinstance(spoken, Language) else spoken
    prompts = [policy.chat(problem, language) for problem, language in zip(problems, tongues, strict=True)]
    tokens = [policy.encode(prompt) for prompt in prompts]
    checks.one_of("extract", rule, answer.RULES)
    extract = answer.RULES[rule]
    for problem, ids in zip(problems, tokens, strict=True):
        if len(ids) > sampling.max_prompt_tokens:
            raise DataError(
                f"problem {problem.id!r} makes a prompt of {len(ids)} tokens; rollout.max_prompt_tokens is "
                f"{sampling.max_prompt_tokens}: raise it, or leave the problem out"
            )
    pending: dict[int, tuple[Completion, str | None, Future[Verdict]]] = {}
    mine = ranks.share(len(problems) * n)

    def verify(place: int, completion: Completion) -> None:
        index = mine[place]
        problem, language = problems[index // n], tongues[index // n]
        program = extract(completion.text, language)
        name = f"{problem.id}/{index % n}"
        job = Job(name, language.name, program, problem.tests, problem.compare, all_tests=all_tests)
        pending[index] = completion, program, pool.submit(job)

    started = time.perf_counter()
    # A completion's seed depends on its place in the whole batch, not on which rank draws it.
    sampler.sample([tokens[index // n] for index in mine], 1, sampling, seed + mine.start, verify)
    sampled = time.perf_counter()
    rollouts = []
    for index in mine:
        completion, program, future = pending[index]
        number = index // n
        rollouts.append(
            Rollout(
                problems[number],
                prompts[number],
                tokens[number],
                completion,
                program,
                future.result(),
                language=tongues[number].name,
            )
        )
    phases = Phases(sampled - started, time.perf_counter() - sampled)
    rollouts = ranks.gather(rollouts)
    phases.programs = len(rollouts)
    phases.passed = sum(rollout.verdict.passed for rollout in rollouts)
    phases.tokens = sum(len(rollout.completion.tokens) for rollout in rollouts)
    return rollouts, phases

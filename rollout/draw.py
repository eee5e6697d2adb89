"""The one path from a problem to a verdict, for training and evaluation alike.

    Question --prompt--> answer --program--> job --sandbox--> verdict

An answer comes from a model on this machine, with any engine of policy/samplers, or from one behind an endpoint. Its
program is handed to the sandbox the moment the answer is complete, so that verification hides behind sampling.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Container, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from base import checks
from base.errors import DataError
from chat.endpoint import Endpoint
from chat.reply import UnansweredError
from chat.settings import EndpointSettings
from policy.model import Policy
from policy.samplers import open_sampler
from policy.samplers.sampler import Completion, Sampler, Sampling
from policy.settings import ModelSettings, RolloutSettings
from problems.problem import Problem
from problems.prompt import system_message
from problems.task import Prompt, Task
from sandbox.executor import Executor
from sandbox.job import Job, Verdict

SHOWN = 5  # problems that a sentence names


@dataclass(frozen=True)
class Question:
    """One problem of a task: what the model is asked, and how its answer becomes a program that can be judged."""

    task: Task
    problem: Problem

    @property
    def prompt(self) -> Prompt:
        return self.task.prompt(self.problem)

    def program(self, text: str) -> str | None:
        """The program in an answer, or None when it holds none."""
        return self.task.program(self.problem, text)

    def job(self, number: int, program: str | None, all_tests: bool = False) -> Job:
        """The work for the sandbox: the program of answer `number`."""
        problem = self.problem
        name = f"{problem.id}/{number}"
        return Job(name, self.task.language.name, program, problem.tests, problem.compare, all_tests=all_tests)


@dataclass(frozen=True)
class Answer:
    text: str
    tokens: int  # sampled
    finished: bool  # False: cut at max_new_tokens
    completion: Completion | None = None  # the tokens themselves, where the model is in this process


class AnswerSource(Protocol):
    """A model that answers questions."""

    name: str  # for people
    trouble: str  # why the last question that got no answer got none; "" when all were answered

    def generate(
        self,
        questions: Sequence[Question],
        n: int,
        sampling: Sampling,
        seed: int,
        done: Callable[[int, Answer], None],
        wanted: Container[int],
        grows: Callable[[int, str], None] | None = None,
    ) -> None:
        """Draws answers; `done(index, answer)` for each as soon as it is complete, index = question * n + number.

        Only the indices in `wanted` are drawn. `grows(index, text)` gets an answer's text so far, as it comes; what is
        asked again begins anew. Calls both in the caller's thread.
        """


def draw(
    questions: Sequence[Question],
    n: int,
    source: AnswerSource,
    pool: Executor,
    sampling: Sampling,
    seed: int,
    done: Callable[[int, Answer, str | None, Future[Verdict]], None],
    wanted: Container[int],
    all_tests: bool = False,
) -> None:
    """Draws `n` answers to each question and submits each program as soon as its answer is complete.

    `done(index, answer, program, verdict)` is called then, index = question * n + number; only the indices in `wanted`
    are drawn. `all_tests` runs every test of a program, also after one has failed.
    """

    def answered(index: int, answer: Answer) -> None:
        question, number = questions[index // n], index % n
        program = question.program(answer.text)
        done(index, answer, program, pool.submit(question.job(number, program, all_tests)))

    source.generate(questions, n, sampling, seed, answered, wanted)


class LocalModel:
    """A model in this process."""

    def __init__(self, policy: Policy, sampler: Sampler) -> None:
        self.policy, self.sampler = policy, sampler
        self.name = policy.source
        self.trouble = ""

    @classmethod
    def open(cls, model: ModelSettings, rollout: RolloutSettings, checkpoint: Path | None, seed: int) -> LocalModel:
        """Loads the model of the config group `model`; its weights only once if the engine reads them itself.
        Raises ModelError."""
        needed = rollout.engine == "transformers" or rollout.quantize is not None
        policy = Policy.load(model, checkpoint, weights=needed)
        policy.check_positions(rollout.max_prompt_tokens + rollout.max_new_tokens)
        return cls(policy, open_sampler(policy, rollout, seed))

    def generate(
        self,
        questions: Sequence[Question],
        n: int,
        sampling: Sampling,
        seed: int,
        done: Callable[[int, Answer], None],
        wanted: Container[int],
        grows: Callable[[int, str], None] | None = None,
    ) -> None:
        """See AnswerSource. A range of indices is one rank's share of them: it is sampled as if there were no others,
        but each answer gets the seed of its place among all."""
        tokens = [self.encode(question.prompt) for question in questions]
        check_lengths(zip(questions, map(len, tokens), strict=True), sampling.max_prompt_tokens)

        def emit(index: int, completion: Completion) -> None:
            done(index, Answer(completion.text, len(completion.tokens), completion.finished, completion))

        def grown(index: int, sampled: list[int]) -> None:
            assert grows is not None
            grows(index, self.policy.decode(sampled).rstrip("\ufffd"))  # a character may come in several tokens

        if isinstance(wanted, range):
            mine = [tokens[index // n] for index in wanted]
            self.sampler.sample(
                mine,
                1,
                sampling,
                seed + wanted.start,
                lambda place, c: emit(wanted[place], c),
                grows=grows and (lambda place, sampled: grown(wanted[place], sampled)),
            )
        else:
            self.sampler.sample(tokens, n, sampling, seed, emit, wanted, grows and grown)

    def text(self, prompt: Prompt) -> str:
        """A prompt as the model reads it: the chat template over the messages, or the bare text to continue."""
        if isinstance(prompt, str):
            return prompt
        return self.policy.template([*system_message(self.policy.config.system), *prompt])

    def encode(self, prompt: Prompt) -> list[int]:
        """A prompt as token ids; a bare text with whatever the tokenizer begins a text with."""
        if isinstance(prompt, str):
            return list(self.policy.tokenizer(prompt)["input_ids"])
        return self.policy.encode(self.text(prompt))


def check_lengths(lengths: Iterable[tuple[Question, int]], most: int) -> None:
    """Raises DataError that names the problems whose prompts have more than `most` tokens."""
    long = {question.problem.id: length for question, length in lengths if length > most}
    if long:
        raise DataError(f"{_named(long, most)}: raise it, or leave the problems out")


def fitting(
    problems: Sequence[Problem], tasks: Iterable[Task], model: LocalModel, most: int, rule: str
) -> list[Problem]:
    """The problems whose prompts have at most `most` tokens in every task, in order.

    `rule`, the config key prompts_too_long: "drop" says on standard error which are left out, "refuse" raises
    DataError.
    """
    checks.one_of("prompts_too_long", rule, ("drop", "refuse"))
    long: dict[str, int] = {}
    for task in tasks:
        for problem in problems:
            length = len(model.encode(task.prompt(problem)))
            if length > most:
                long[problem.id] = max(length, long.get(problem.id, 0))
    if not long:
        return list(problems)
    if rule == "refuse":
        raise DataError(f"{_named(long, most)}: raise it, or set prompts_too_long=drop to leave such problems out")
    if len(long) == len(problems):
        raise DataError(f"{_named(long, most)}, which leaves none: raise it")
    print(f"left out: {_named(long, most)}", file=sys.stderr)
    return [problem for problem in problems if problem.id not in long]


def _named(long: dict[str, int], most: int) -> str:
    names = ", ".join(f"{name!r} ({length})" for name, length in list(long.items())[:SHOWN])
    more = f" and {len(long) - SHOWN} more" if len(long) > SHOWN else ""
    return (
        f"{len(long)} problem{'s' * (len(long) > 1)} with a prompt longer than rollout.max_prompt_tokens={most} "
        f"tokens: {names}{more}"
    )


class EndpointModel:
    """A chat model behind an OpenAI-compatible endpoint. Its requests and answers are kept in `chat.jsonl` beside."""

    def __init__(self, model: EndpointSettings, folder: Path) -> None:
        """`folder` is that of the evaluation."""
        self.model, self.folder = model, folder
        self.name = model.name
        self.trouble = ""

    def generate(
        self,
        questions: Sequence[Question],
        n: int,
        sampling: Sampling,
        seed: int,
        done: Callable[[int, Answer], None],
        wanted: Container[int],
        grows: Callable[[int, str], None] | None = None,
    ) -> None:
        """See AnswerSource. A question that is refused, or fails every retry, gets no answers: the others go on."""
        if any(isinstance(question.prompt, str) for question in questions):
            raise DataError("model=endpoint can only chat, not continue a bare text; add dataset.style=chat")
        try:
            asyncio.run(self._generate(questions, n, sampling, seed, done, wanted, grows))
        except ExceptionGroup as group:  # of the questions under way; what stopped one stops all
            raise group.exceptions[0] from group

    async def _generate(
        self,
        questions: Sequence[Question],
        n: int,
        sampling: Sampling,
        seed: int,
        done: Callable[[int, Answer], None],
        wanted: Container[int],
        grows: Callable[[int, str], None] | None,
    ) -> None:
        async def ask(chat: Endpoint, number: int, question: Question) -> None:
            prompt = question.prompt
            assert not isinstance(prompt, str)
            try:
                reply = await chat.ask(
                    [*system_message(self.model.system), *prompt],
                    temperature=sampling.temperature,
                    max_tokens=sampling.max_new_tokens,
                    n=n,
                    seed=(seed + number * n) % 2**63,  # of its own: two problems may be asked in the same words
                    top_p=sampling.top_p,
                    grows=grows and (lambda sample, text: grows(number * n + sample, text)),
                )
            except UnansweredError as error:
                self.trouble = f"no answer to problem {question.problem.id!r}: {error}"
                return
            for sample, answer in enumerate(reply.answers):
                if number * n + sample in wanted:
                    tokens = reply.completion_tokens // len(reply.answers)  # a server tells only their sum
                    done(number * n + sample, Answer(answer.text, tokens, answer.finished))

        async with Endpoint(self.model, self.folder / "chat.jsonl") as chat, asyncio.TaskGroup() as group:
            for number, question in enumerate(questions):
                if any(number * n + sample in wanted for sample in range(n)):
                    group.create_task(ask(chat, number, question))

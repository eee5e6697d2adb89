"""A task: problems in one language, how a model is asked for a program, and how its answer becomes one that can be run.

`Stdio` is the project's own kind, programs that read and print. `problems/sources/multipl_e.py` has the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from languages import Language
from problems.problem import Problem
from problems.prompt import messages
from sandbox import answer

Prompt = list[dict[str, str]] | str  # a chat without its system message, or plain text that the model continues


class Task(Protocol):
    @property
    def problems(self) -> Sequence[Problem]: ...

    @property
    def language(self) -> Language:
        """How programs are run."""

    @property
    def stop(self) -> tuple[str, ...]:
        """Texts that end an answer."""

    def prompt(self, problem: Problem) -> Prompt:
        """What the model is given."""

    def program(self, problem: Problem, text: str) -> str | None:
        """The program in the model's answer `text`, or None when it holds none."""


@dataclass(frozen=True)
class Stdio:
    """Programs that read standard input and print; the answer's code block is the program."""

    problems: Sequence[Problem]
    language: Language
    rule: str = "default"  # of sandbox/answer.py
    prefix: bool = True  # whether the prompt holds what the language file says of the language, or its bare name
    stop: tuple[str, ...] = ()

    def prompt(self, problem: Problem) -> Prompt:
        return messages(problem, self.language if self.prefix else replace(self.language, prompt=""))

    def program(self, problem: Problem, text: str) -> str | None:
        return answer.RULES[self.rule](text, self.language)

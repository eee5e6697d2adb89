"""A task: problems in one language, how a model is asked for a program, and how its answer becomes one that can be run.

`Stdio` is the project's own kind, programs that read and print. `problems/sources/multipl_e.py` has the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

from base.settings import Settings
from languages import Language
from problems.problem import Problem
from problems.prompt import Template, messages
from sandbox import answer

Prompt = list[dict[str, str]] | str  # a chat without its system message, or plain text that the model continues


class Task(Protocol):
    """A dataclass: what is left out of it makes a new one, by `replace`."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

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


class PromptSettings(Settings):
    """The key `prompt` of a config."""

    template: str | None  # a Jinja file

    def read_template(self) -> Template | None:
        """The user's own wording, if there is one. Raises DataError."""
        return Template(Path(self.template).expanduser()) if self.template else None


def prompt_hash(prompt: Prompt) -> str:
    """The SHA-256 of a prompt's words, in UTF-8: those that the user's message has, or the text that is continued."""
    words = prompt if isinstance(prompt, str) else prompt[-1]["content"]
    return hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()


def prompts_hash(tasks: Iterable[Task]) -> str:
    """The SHA-256 over those of all prompts (in hexadecimal, one after the other), task by task, in problems' order."""
    hashes = "".join(prompt_hash(task.prompt(problem)) for task in tasks for problem in task.problems)
    return hashlib.sha256(hashes.encode()).hexdigest()


@dataclass(frozen=True)
class Stdio:
    """Programs that read standard input and print; the answer's code block is the program."""

    problems: Sequence[Problem]
    language: Language
    rule: str = "default"  # of sandbox/answer
    prefix: bool = True  # whether the prompt holds what the language file says of the language, or its bare name
    stop: tuple[str, ...] = ()
    template: Template | None = None  # the user's own wording of a prompt

    def prompt(self, problem: Problem) -> Prompt:
        language = self.language if self.prefix else replace(self.language, prompt="")
        return messages(problem, language, template=self.template)

    def program(self, problem: Problem, text: str) -> str | None:
        return answer.RULES[self.rule](text, self.language)

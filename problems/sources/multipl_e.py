"""MultiPL-E: HumanEval and MBPP translated to many languages (Cassano et al. 2023), scored as its own harness does.

A row is the beginning of a program, a function's head under its comment, and tests that call the function. The model
continues the text; its continuation ends before the first stop token; prompt + continuation + newline + tests is run.
All of that is the harness's, and so is what passes, and how each language is run, in `multipl_e.yaml`: Lua is 5.3 with
luaunit, not the LuaJIT of `languages/lua.yaml`. A language that is not in there is refused.

Two styles of asking. `completion`, the benchmark's own and the default, also for chat models: the bare prompt without
a chat template. `chat`, for endpoints that only chat: the model is asked for the finished program in a code block,
and the block, without the prompt before it, is run with the tests. Their figures do not compare with each other.

The rows' licence forbids training on them: evaluation only. They are read from a folder of `<root>-<name>.jsonl`
files, or from the hub.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import field_validator

from base import hub, jsonl
from base.errors import DataError
from languages import Language
from problems.problem import Problem
from problems.settings import DatasetSettings, Name
from problems.task import Prompt
from sandbox import answer
from sandbox.job import Compare, Test

HUB = "nuprl/MultiPL-E"
KEYS = ("name", "prompt", "tests", "stop_tokens")
# How its harness runs each language, and under which name.
HARNESS: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "multipl_e.yaml").read_text("utf-8"))
TEST_S = 15.0  # seconds, the harness's default
STYLES = ("completion", "chat")


class MultiplESettings(DatasetSettings):
    """conf/dataset/multipl_e.yaml"""

    root: str  # humaneval | mbpp
    path: Name | None = None  # a folder of files such as humaneval-lua.jsonl; None: the hub
    style: str = STYLES[0]
    train: Name | None = None
    heldout: Name | None = None

    @field_validator("style")
    @classmethod
    def _known(cls, style: str) -> str:
        if style not in STYLES:
            raise ValueError(f"{{key}} is {style!r}; the choices are {', '.join(STYLES)}")
        return style


@dataclass(frozen=True)
class Continuation(Problem):
    """A row. `statement` is the beginning of the program."""

    checks: str = ""  # the tests, a piece of program
    stop_tokens: tuple[str, ...] = ()

    @classmethod
    def from_row(cls, row: Any, where: str) -> Continuation:
        """`row` (decoded JSON; keys beyond ours are ignored) as a problem. Raises DataError."""
        if not isinstance(row, Mapping):
            raise DataError(f"{where}: a row is a JSON object, not {type(row).__name__}")
        for key in KEYS:
            if not row.get(key):
                raise DataError(f"{where}: key {key!r} is missing or empty; the keys are {', '.join(KEYS)}")
        for key in KEYS[:-1]:
            if not isinstance(row[key], str):
                raise DataError(f"{where}: key {key!r} must be a string, not {type(row[key]).__name__}")
        stops = row["stop_tokens"]
        if not isinstance(stops, list) or not all(isinstance(stop, str) and stop for stop in stops):
            raise DataError(f"{where}: key 'stop_tokens' must be a list of strings")
        return cls(
            id=row["name"],
            statement=row["prompt"],
            tests=(Test("", ""),),
            compare=Compare("exit_code"),
            checks=row["tests"],
            stop_tokens=tuple(stops),
        )


@dataclass(frozen=True)
class MultiplE:
    """The task in one language."""

    problems: Sequence[Continuation]
    language: Language
    style: str

    @classmethod
    def load(cls, dataset: MultiplESettings, language: Language) -> MultiplE:
        """Raises DataError."""
        if language.name not in HARNESS:
            raise DataError(
                f"dataset=multipl_e: how its harness runs {language.title} is not known here, or it has no "
                f"{language.title}; the languages are {', '.join(HARNESS)}"
            )
        name = f"{dataset.root}-{HARNESS[language.name]['name']}"
        rows = _from_folder(Path(dataset.path).expanduser(), name) if dataset.path else _from_hub(name)
        problems = [Continuation.from_row(row, where) for row, where in rows]
        if not problems:
            raise DataError(f"dataset.root={dataset.root}: no problem in {language.title}")
        if len({problem.stop_tokens for problem in problems}) > 1:
            raise DataError(f"{name}: all rows must have the same stop_tokens")
        return cls(problems, toolchain(language), dataset.style)

    @property
    def stop(self) -> tuple[str, ...]:
        return self.problems[0].stop_tokens if self.style == "completion" else ()

    def prompt(self, problem: Problem) -> Prompt:
        if self.style == "completion":
            return problem.statement.strip()  # as its harness gives it to a model
        title, tag = self.language.title, self.language.fence[0]
        return [
            {
                "role": "user",
                "content": f"Complete the last function of this {title} program. Keep what is there, add no tests and "
                f"no examples, and answer with the whole program in one ```{tag} code block.\n\n"
                f"```{tag}\n{problem.statement.rstrip()}\n```",
            }
        ]

    def program(self, problem: Problem, text: str) -> str | None:
        assert isinstance(problem, Continuation)
        if self.style == "completion":
            return join(problem, cut(text, problem.stop_tokens))
        program = answer.extract(text, self.language)
        return None if program is None else f"{program}\n{problem.checks}"


def cut(text: str, stops: Sequence[str]) -> str:
    """`text` before the first of the stop tokens in it."""
    return text[: min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))]


def join(problem: Continuation, completion: str) -> str:
    """The program that is run."""
    return f"{problem.statement}{completion}\n{problem.checks}"


def toolchain(language: Language) -> Language:
    """The language as the harness runs and judges it, so that exit code 0 is a pass."""
    harness = dict(HARNESS[language.name])
    del harness["name"]
    limits = replace(language.limits, test_s=float(harness.pop("test_s", TEST_S)))
    says, never, silent = harness.pop("says", ""), harness.pop("never", ""), harness.pop("silent", False)
    execute = harness.pop("execute", language.execute)
    if says or never:
        forbidden = f"case $said in *{shlex.quote(never)}*) exit 1;; esac\n" if never else ""
        execute = (
            f'said=$( ( {execute}\n) 2>&1; echo "exit $?")\n'
            f"printf '%s\\n' \"$said\"\n"
            f"{forbidden}case $said in *{shlex.quote(says)}*'exit 0') ;; *) exit 1;; esac"
        )
    if silent:
        execute = (
            f'exec 3>&1\nsaid=$( ( {execute}\n) 2>&1 >&3 3>&-; echo "exit $?")\n'
            f"printf '%s\\n' \"$said\" >&2\n"
            f"[ \"$said\" = 'exit 0' ]"
        )
    return replace(language, limits=limits, execute=execute, **harness)


def _from_folder(folder: Path, name: str) -> Iterator[tuple[Any, str]]:
    path = folder / f"{name}.jsonl"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*-*.jsonl"))) or "none"
        raise DataError(f"dataset.path: there is no file {path}; the data sets there are: {known}")
    for where, row in jsonl.read(path):
        yield row, where


def _from_hub(name: str) -> Iterator[tuple[Any, str]]:
    offline = hub.settle()
    from datasets import load_dataset  # slow to import

    try:
        rows = load_dataset(HUB, name, split="test")
    except Exception as error:  # whatever the hub, the network or the cache may say
        reason = offline or " ".join(str(error).split())[:200]
        raise DataError(
            f"cannot load {name} of {HUB} from the hub ({reason}); dataset.path=FOLDER reads {name}.jsonl from a folder"
        ) from error
    for number, row in enumerate(rows):
        yield row, f"{HUB}, {name}, row {number}"

"""Data sets by config, and the order in which training goes through them."""

from __future__ import annotations

import hashlib
import random
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from omegaconf import OmegaConf
from pydantic import BeforeValidator, SerializeAsAny

import languages
from base.errors import ConfigError, DataError
from languages import Language
from problems.problem import Problem, read_jsonl, write_jsonl
from problems.prompt import Template
from problems.reformulation.source import TaskSettings
from problems.settings import DatasetSettings, FileSettings, RowsSettings, SourceSettings
from problems.sources import codeforces_x, hub, livecodebench_x, mbpp_x
from problems.sources.multipl_e import MultiplE, MultiplESettings
from problems.sources.rows import Tally, named
from problems.task import Stdio, Task
from sandbox.job import Compare

ROOT = Path(__file__).parent.parent


class Loader(NamedTuple):
    settings: type[SourceSettings]
    problems: Callable[[Any, str, Tally], Iterator[Problem]]  # of these settings and a split


LOADERS = {
    "mbpp_x": Loader(RowsSettings, mbpp_x.problems),
    "codeforces_x": Loader(codeforces_x.CodeforcesSettings, codeforces_x.problems),
    "livecodebench_x": Loader(RowsSettings, livecodebench_x.problems),
    "hub": Loader(hub.HubSettings, hub.problems),
}


def dataset(config: Any) -> DatasetSettings:
    """The config group `dataset`, of a command or of a stored run, as the settings of its kind. Raises ConfigError."""
    if isinstance(config, DatasetSettings):
        return config
    if not isinstance(config, Mapping):
        raise ConfigError(f"dataset is {config!r}; it must be a mapping")
    kind: type[DatasetSettings] = FileSettings
    if (loader := config.get("loader")) is not None:
        if loader not in tuple(LOADERS):
            raise ConfigError(f"dataset.loader is {loader!r}; the loaders are {', '.join(LOADERS)}")
        kind = LOADERS[loader].settings
    elif config.get("name") == "multipl_e":
        kind = MultiplESettings
    elif "columns" in config:
        kind = TaskSettings
    return kind.read(config, "dataset")


Dataset = Annotated[SerializeAsAny[DatasetSettings], BeforeValidator(dataset)]  # as a part of a script's settings


def suits(model: str) -> str:
    """The built-in data set for a model: tasks that the tiny policy can do, or real ones."""
    return "starter" if model == "tiny" else "ladder"


OmegaConf.register_new_resolver("suits", suits, replace=True)  # conf/dataset/auto.yaml


def load(dataset: DatasetSettings, split: str, quiet: bool = False) -> list[Problem]:
    """The problems of a split, `train` or `heldout`.

    Rows that made no problem are reported on standard error, unless `quiet`. Raises DataError.
    """
    tally = Tally()
    problems = list(read(dataset, split, tally))
    for sentence in tally.sentences() if not quiet else ():
        print(f"dataset.{split}={dataset.part(split)}: {sentence}", file=sys.stderr)
    if not problems:
        tiers = dataset.tiers if isinstance(dataset, FileSettings) else None
        raise DataError(
            f"dataset.{split}={dataset.part(split)} holds no problem" + (f" of the tiers {tiers}" if tiers else "")
        )
    return problems


def read(dataset: DatasetSettings, split: str, tally: Tally) -> Iterator[Problem]:
    """The problems of a split, one at a time; `tally` counts them, and the rows that make none. Raises DataError.

    A split is a JSONL file in the project's format, or, where there is a loader and the value does not end in .jsonl,
    the name of a split that this loader knows. A relative path is looked for in the working directory, then in this
    repository.
    """
    value = dataset.part(split)
    if value is None:
        raise DataError(f"dataset={dataset.name} has nothing for {split}: set dataset.{split}=FILE.jsonl")
    if isinstance(dataset, SourceSettings) and not value.endswith(".jsonl"):
        yield from LOADERS[dataset.loader].problems(dataset, value, tally)
        return
    path = Path(today(value)).expanduser()
    if not path.is_absolute() and not path.exists():
        path = ROOT / path
    if not path.is_file():
        raise DataError(f"dataset.{split}: there is no file {path}")
    tiers = dataset.tiers if isinstance(dataset, FileSettings) else None
    for problem in read_jsonl(path):
        if tiers is None or problem.tier in tiers:
            tally.keep(problem)
            yield problem


def shared(train: Iterable[Problem], heldout: Sequence[Problem], one_source: bool = False) -> list[str]:
    """Sentences on held-out problems that training sees: the same id, or the same statement but for white space.

    Raises DataError where all of them are, and both splits come from `one_source`.
    """
    ids: set[str] = set()
    statements: dict[str, str] = {}  # statement -> id
    for problem in train:
        ids.add(problem.id)
        statements.setdefault(_words(problem), problem.id)
    same_id, same_statement = [], []
    for problem in heldout:
        if _words(problem) in statements:
            same_statement.append(f"{problem.id} is {statements[_words(problem)]}")
        elif problem.id in ids:
            same_id.append(problem.id)
    if one_source and 0 < len(heldout) == len(same_statement):
        raise DataError(
            "dataset: every held-out problem is a training problem (is dataset.path one file, which gives both?): name "
            "a folder with a file for each split, or set dataset.heldout"
        )
    found = []
    if same_statement:
        found.append(
            f"held-out problems in training by their statement: {len(same_statement)} ({named(same_statement)})"
        )
    if same_id:
        found.append(f"held-out problems in training by their id only: {len(same_id)} ({named(same_id)})")
    return found


def _words(problem: Problem) -> str:
    """The statement with its formats, since some data sets tell them apart, in single spaces."""
    return " ".join(f"{problem.statement} {problem.input_format} {problem.output_format}".split())


def fingerprint(problems: Iterable[Problem]) -> str:
    """A hash of everything that problems and their tests say: data that changed under the same path have another."""
    digest = hashlib.sha256()
    for problem in problems:
        tests = getattr(problem.tests, "packed", problem.tests)  # packed tests stay packed
        digest.update(repr((replace(problem, tests=()), tests)).encode())
    return digest.hexdigest()[:16]


def kept(path: Path, read: Callable[[], Iterable[Problem]]) -> list[Problem]:
    """The problems of the file `path`; where there is none yet, what `read()` gives, and the file is written first.

    Of several ranks, the first calls it, then, when the file is whole, the others; a resumed run finds the file. Nobody
    else asks the hub, and nobody trains on data that changed. Packed tests are kept as they are. Raises DataError.
    """
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_jsonl(path, read(), packed=True)
    return list(read_jsonl(path))


def today(path: str) -> str:
    """Where a data file of our own is now that a run from before 2026-11-28 names by its old place."""
    return re.sub(r"^problems/data/(starter|ladder)/", r"problems/\1/data/", path)


def pool_languages(problems: Sequence[Problem], *taught: Language) -> list[Language]:
    """What the sandbox must run: the languages, and those of the checkers of problems with several right outputs."""
    others = {problem.compare.checker.language for problem in problems if problem.compare.checker}
    return [*taught, *(languages.load(name) for name in sorted(others - {language.name for language in taught}))]


def steps_per_epoch(problems: Sequence[Problem], prompts: int) -> int:
    """Whole batches in one pass over the data; at least 1."""
    return max(1, len(problems) // prompts)


def batch(problems: Sequence[Problem], step: int, prompts: int, seed: int) -> list[Problem]:
    """The problems of `step` (from 0): a slice of the epoch's permutation, a pure function of (seed, step).

    A remainder smaller than a batch is left out of its epoch. A data set smaller than a batch is repeated in it.
    """
    epoch, number = divmod(step, steps_per_epoch(problems, prompts))
    order = list(problems)
    random.Random(f"{seed}/{epoch}").shuffle(order)
    chosen = order[number * prompts : (number + 1) * prompts]
    while len(chosen) < prompts:
        chosen += order[: prompts - len(chosen)]
    return chosen


def task(
    dataset: DatasetSettings,
    language: Language,
    split: str,
    limit: int | None,
    extract: str,
    prefix: bool,
    compare: str | None = None,
    template: Template | None = None,
) -> Task:
    """The first `limit` problems (None: all) of a benchmark, in a language.

    For programs that read and print: `extract`, how a program is found in an answer; `prefix`, whether the prompt holds
    what the language file says; `compare`, a rule of sandbox/compare.py in place of the problems' own (but where a
    checker judges); `template` words the prompts. Raises DataError.
    """
    if isinstance(dataset, MultiplESettings):
        if compare or template:
            key = "compare" if compare else "prompt.template"
            raise DataError(f"{key} is not for dataset=multipl_e, which is asked and judged as its own harness does")
        whole = MultiplE.load(dataset, language)
        return MultiplE(whole.problems[:limit], whole.language, whole.style)
    problems = load(dataset, split)[:limit]
    if compare:
        rule = Compare(compare)
        problems = [problem if problem.compare.checker else replace(problem, compare=rule) for problem in problems]
    return Stdio(problems, language, extract, prefix, template=template)

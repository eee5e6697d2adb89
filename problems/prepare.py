"""Writes a data set of conf/dataset as files in the project's format, with its splits and a card.

    python -m problems.prepare dataset=codeforces language=lua
    python -m problems.prepare dataset=mbpp_x dataset.path=my/clone run_dir=data/mbpp

The folder holds train.jsonl and heldout.jsonl, as far as the data set has them, and README.md: source, licence, counts,
comparison, dropped rows and why. With a language, also the prompts that a model is asked with, {id, prompt} per line.
Train on it with `dataset=jsonl dataset.train=FOLDER/train.jsonl dataset.heldout=FOLDER/heldout.jsonl`.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import yaml
from omegaconf import DictConfig
from rich.console import Console

import languages
from base import script
from base.errors import DataError, RunError
from base.files import replacing, write_text
from base.lock import locked
from base.settings import ScriptSettings
from languages import Language
from problems import load
from problems.checkers import sound
from problems.problem import Problem, write_jsonl
from problems.prompt import render
from problems.settings import DatasetSettings, SourceSettings
from problems.sources.codeforces_x import CodeforcesSettings
from problems.sources.rows import SHOWN, Tally, named

SPLITS = ("train", "heldout")


@dataclass
class Split:
    """What one split holds, as the card tells it."""

    name: str
    tally: Tally = field(default_factory=Tally)
    rules: Counter[str] = field(default_factory=Counter)
    styles: Counter[str] = field(default_factory=Counter)
    sample: str = ""  # the first problem's prompt
    texts: list[Problem] = field(default_factory=list)  # the problems without their tests


class PrepareSettings(ScriptSettings):
    """conf/prepare.yaml has the defaults and says what each key means."""

    dataset: load.Dataset
    language: dict[str, Any] | None = None
    run_dir: str | None


def run(config: DictConfig) -> Path:
    """Writes the folder and returns it. Raises DataError, LanguageError, SandboxError, RootfsError, RunError."""
    settings = PrepareSettings.read(config)
    language = languages.from_config(settings.language) if settings.language else None
    folder = Path(settings.run_dir or f"data/{settings.dataset.name}").expanduser()
    try:
        with locked(folder):
            return prepare(settings.dataset, language, folder)
    except OSError as error:
        raise RunError(f"cannot write the data set into run_dir {folder} ({error})") from error


def prepare(dataset: DatasetSettings, language: Language | None, folder: Path) -> Path:
    names = [name for name in SPLITS if dataset.part(name) is not None]
    if not names:
        raise DataError(f"dataset={dataset.name} names no split: set dataset.train or dataset.heldout")
    console = Console(stderr=True)
    splits = []
    for name in names:
        with console.status(f"{dataset.name}: {name}"):
            splits.append(write(folder, dataset, name, language))
        print(f"{folder / name}.jsonl: {splits[-1].tally.kept} problems, {splits[-1].tally.tests} tests")
        for sentence in splits[-1].tally.sentences():
            print(f"  {sentence}")
    for sentence in load.shared(splits[0].texts, splits[1].texts) if len(splits) == 2 else ():
        print(f"warning: {sentence}", file=sys.stderr)
    write_text(folder / "README.md", card(dataset, splits, language))
    return folder


def write(folder: Path, dataset: DatasetSettings, name: str, language: Language | None) -> Split:
    """Writes one split and its prompts; both files appear whole or not at all."""
    split = Split(name)
    with ExitStack() as stack:
        prompts: IO[str] | None = None
        if language:
            part = stack.enter_context(replacing(folder / f"{name}.{language.name}.jsonl"))
            prompts = stack.enter_context(open(part, "w", encoding="utf-8"))

        def seen() -> Iterator[Problem]:
            problems = load.read(dataset, name, split.tally)
            checked = isinstance(dataset, CodeforcesSettings) and dataset.checkers
            for problem in sound(problems, split.tally) if checked else problems:
                split.rules[problem.compare.rule] += 1
                split.styles[problem.style] += 1
                split.texts.append(replace(problem, tests=()))
                if language:
                    prompt = render(problem, language)
                    split.sample = split.sample or prompt
                    print(json.dumps({"id": problem.id, "prompt": prompt}, ensure_ascii=False), file=prompts)
                yield problem
            if not split.tally.kept:
                why = "; ".join(split.tally.sentences())
                raise DataError(f"dataset.{name}={dataset.part(name)} holds no problem" + (f": {why}" if why else ""))

        write_jsonl(folder / f"{name}.jsonl", seen())
    return split


def card(dataset: DatasetSettings, splits: list[Split], language: Language | None) -> str:
    """The folder's README.md, with the front matter by which a hub and `datasets` find the splits."""
    source = dataset.source if isinstance(dataset, SourceSettings) else None
    files = [{"split": split.name, "path": f"{split.name}.jsonl"} for split in splits]
    front = {
        "license": dataset.license or "unknown",
        "task_categories": ["text-generation"],
        "tags": ["code", "agnostics"],
        "configs": [{"config_name": "default", "data_files": files}],
    }
    if source:
        front["source_datasets"] = [source]
    own = [str(dataset.part(split.name)) for split in splits]
    lines = [
        "---",
        yaml.safe_dump(front, sort_keys=False, allow_unicode=True).rstrip(),
        "---",
        f"# {dataset.name}",
        "",
        "Problems that say what a program must read and print, in no programming language in particular. One JSON",
        "object per line: `id`, `statement`, `input_format`, `output_format`, `notes`, `tests` (`input`, `output`),",
        "`examples` (how many tests the prompt shows, from the first), `compare` and `style`; defaults are left out.",
        "",
        f"- Source: {source or getattr(dataset, 'path', None) or ', '.join(own)}",
        f"- Licence: {dataset.license or 'not known; see the source'}",
        f"- Written by `python -m problems.prepare dataset={dataset.name}"
        + (f" language={language.name}`" if language else "`"),
        "",
        "| split | problems | tests | comparison | prompt styles | largest input |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {split.name} | {split.tally.kept} | {split.tally.tests} | {_counts(split.rules)} | {_counts(split.styles)} "
        f"| {split.tally.largest_input} characters |"
        for split in splits
    ]
    lines += ["", "## Rows left out", ""]
    dropped = [(split, *item) for split in splits for item in split.tally.dropped.items()]
    if dropped:
        lines += ["| split | rows | why | such as |", "|---|---|---|---|"]
        lines += [
            f"| {split.name} | {len(rows)} | {_cell(reason)} | {_cell('; '.join(rows[:SHOWN]))} |"
            for split, reason, rows in dropped
        ]
    else:
        lines.append("None.")
    if remarks := [(split, *item) for split in splits for item in split.tally.remarks.items() if item[1]]:
        lines += ["", "## Worth knowing", "", "| split | problems | | such as |", "|---|---|---|---|"]
        lines += [
            f"| {split.name} | {len(ids)} | {_cell(what)} | {_cell(named(ids))} |" for split, what, ids in remarks
        ]
    if isinstance(dataset, CodeforcesSettings):
        lines += ["", "Rows are counted as the source has them, before it is split."]
    if language:
        lines += ["", f"## The first prompt, in {language.title}", "", *_indented(splits[0].sample)]
    return "\n".join(lines) + "\n"


def _counts(counter: Counter[str]) -> str:
    return ", ".join(name if len(counter) == 1 else f"{name} {count}" for name, count in counter.most_common())


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _indented(text: str) -> list[str]:
    return ["    " + line if line else "" for line in text.split("\n")]  # whatever fences the prompt has


if __name__ == "__main__":
    script.main(
        run,
        "prepare",
        before=languages.register,
        interrupted="interrupted; what is written is whole, the rest is not there: run the same command again",
    )

"""What kinds of bugs a model writes (paper 4.4 and D): failed programs by seven themes, by rules and by a chat model.

    python -m study.bugs folder=scores/NAME                    an evaluation; rules alone, no model is asked
    python -m study.bugs folder=runs/NAME step=0               a run's held-out programs after a step (null: the last)
    python -m study.bugs folder=runs/NAME split=train step=5   the programs of a batch
    python -m study.bugs folder=scores/NAME model=endpoint model.base_url=http://localhost:8000/v1 model.name=big

A sample of failed programs (paper: 100 problems, 5 programs each) runs in the jail once more for its errors and
outputs; rules (study/bugs/themes.py) give each its themes, and so does the model, if there is one. How far the two
agree is shown as counts, Cohen's kappa by theme, and the mean Jaccard index of the two sets. Everything is kept in
`<folder>/bugs` (bugs.json, bugs.md, labels.jsonl): the same command goes on after any stop, asking nothing twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig

import languages
from base import checks, script
from base.errors import DataError, RunError
from base.files import write_text
from base.jsonl import RowLog
from base.lock import locked
from base.text import visible
from languages import Language
from problems import load
from problems.problem import Problem
from problems.task import Task
from rollout.pass_at_k import Row
from run import run_folder
from sandbox import open_pool
from sandbox.job import Job, Status, Verdict
from sandbox.settings import SandboxSettings
from study import report
from study.bugs.labels import Labels, label, summary
from study.bugs.settings import BugsSettings
from study.bugs.themes import TITLES, Failure, Theme, themes
from study.run_data import Run, read_rows

SHOWN = 2000  # characters of what a program said, as a verdict keeps them
NO_BUG = (Status.PASSED, Status.NO_PROGRAM, Status.INFRASTRUCTURE_ERROR, None)


@dataclass(frozen=True)
class Source:
    """The samples that programs are drawn from."""

    rows: list[Row]
    problems: list[Problem]
    languages: list[Language]  # the programs' languages
    out: Path  # the folder for what is found

    @classmethod
    def read(cls, folder: Path, step: int | None, split: str = "heldout") -> Source:
        """An evaluation, or of a run the held-out evaluation after `step` (split heldout) or the batch of that step
        (train). Raises DataError, RunError and what an unusable config raises."""
        if (folder / "samples.parquet").exists():
            if step is not None:
                raise RunError(f"step={step} is for runs; {folder} is an evaluation")
            task = _task(folder)
            return cls(read_rows(folder / "samples.parquet"), list(task.problems), [task.language], folder / "bugs")
        run = Run.read(folder)
        checks.one_of("split", split, ("heldout", "train"))
        files = run.rollout_files(split)
        step = max(files, default=0) if step is None else step
        if step not in files:
            there = ", ".join(map(str, files)) or "none"
            raise DataError(f"{folder} has no {split} rollouts of step {step}; there are {there}")
        counts: Counter[tuple[str, str]] = Counter()
        rows = []
        for row in read_rows(files[step]):
            key = (row["problem"], row["language"])
            rows.append({**row, "sample": counts[key]})
            counts[key] += 1
        problems = list(load.load(run.dataset, split))
        return cls(rows, problems, run.languages, folder / "bugs" / f"{'train_' * (split == 'train')}step_{step:06d}")


def _task(folder: Path) -> Task:
    """The benchmark of an evaluation, from its config."""
    try:
        config = yaml.safe_load((folder / run_folder.CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(
            f"{folder}/{run_folder.CONFIG} cannot be read ({' '.join(str(error).split())[:200]})"
        ) from error
    try:
        how = [*(config[key] for key in ("split", "limit", "extract", "prefix")), config.get("compare")]
        return load.task(load.dataset(config["dataset"]), languages.from_config(config["language"]), *how)
    except (KeyError, TypeError) as error:
        raise DataError(f"{folder}/{run_folder.CONFIG} is not that of an evaluation (no key {error})") from error


def _prompt(row: Row) -> str:
    """A chat as its last turn; a text as it is."""
    try:
        turns = json.loads(row["prompt"])
        return str(turns[-1]["content"])
    except (ValueError, KeyError, TypeError, IndexError):
        return str(row["prompt"])


def choose(rows: Sequence[Row], problems: int, samples: int, seed: int) -> tuple[list[Row], dict[str, int]]:
    """Failed programs: of so many problems drawn by the seed, so many each; and what was left out, counted."""
    names = sorted({row["problem"] for row in rows})
    chosen = set(random.Random(seed).sample(names, min(problems, len(names))))
    drawn = [row for row in rows if row["problem"] in chosen and row["sample"] < samples]
    bad = [row for row in drawn if row["verdict"] not in NO_BUG]
    left_out = Counter(str(row["verdict"]) for row in drawn if row["verdict"] in NO_BUG)
    return bad, {"drawn": len(drawn), **left_out}


class Kept:
    """Failures by program, in a file to which they are added as they come; without those that were the sandbox's own,
    which the next command tries again."""

    def __init__(self, path: Path) -> None:
        self._log = RowLog(path)
        rows = (row for _, row in self._log.rows() if row.get("verdict") != Status.INFRASTRUCTURE_ERROR)
        self.rows = {row.pop("key"): row for row in rows if "key" in row}

    def add(self, key: str, row: dict[str, Any]) -> None:
        self.rows[key] = row
        self._log.add({"key": key, **row})


def key_of(row: Row, problem: Problem) -> str:
    """What the jail's answer depends on."""
    tests = getattr(problem.tests, "packed", problem.tests)  # packed tests stay packed
    text = repr((row["problem"], row.get("language"), row["program"], tests))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24]


def run_again(rows: Sequence[Row], source: Source, kept: Kept, sandbox: SandboxSettings) -> list[Failure | None]:
    """Each row's program in the jail once more; None where it passes this time. Raises DataError, SandboxError."""
    by_id = {problem.id: problem for problem in source.problems}
    for row in rows:
        if row["problem"] not in by_id:
            raise DataError(f"the data set of this folder has no problem {row['problem']!r} any more")
    keys = [key_of(row, by_id[row["problem"]]) for row in rows]
    fresh = {key: row for key, row in zip(keys, rows, strict=True) if key not in kept.rows}
    if fresh:
        with open_pool(load.pool_languages(source.problems, *source.languages), **sandbox.options()) as pool:
            futures: dict[Future[Verdict], tuple[str, Row, str]] = {}
            for key, row in fresh.items():
                problem = by_id[row["problem"]]
                language = row.get("language") or source.languages[0].name
                job = Job(key, language, row["program"], problem.tests, problem.compare)
                futures[pool.submit(job)] = key, row, language
            for future in as_completed(futures):
                key, row, language = futures[future]
                kept.add(key, asdict(seen(row, by_id[row["problem"]], future.result(), language)))
    found: list[Failure | None] = []
    for key, row in zip(keys, rows, strict=True):
        failure = Failure(**{**kept.rows[key], "sample": row["sample"]})
        found.append(None if failure.verdict in NO_BUG else failure)
    return found


def seen(row: Row, problem: Problem, verdict: Verdict, language: str) -> Failure:
    """What a verdict says of the first test that failed."""
    number = verdict.first_failed
    failed = None if number is None else verdict.tests[number]
    compiler = verdict.compile.stderr + verdict.compile.stdout if verdict.compile else ""
    given, expected = ("", "") if number is None else problem.tests[number]
    return Failure(
        problem.id,
        row["sample"],
        language,
        _prompt(row),
        row["program"],
        verdict.status.value,
        compiler if verdict.status is Status.COMPILE_ERROR or failed is None else failed.stderr,
        _cut(given),
        _cut(expected),
        failed.stdout if failed else "",
    )


def _cut(text: str) -> str:
    """A text as a verdict keeps outputs."""
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def page(found: dict[str, Any]) -> str:
    """bugs.json as Markdown."""
    asked = "model" in found["unlabelled"]
    header = ["theme", "rules", *(["model", "both", "kappa"] if asked else [])]
    rows = []
    for theme, row in found["themes"].items():
        cells = [f"{row[who]} ({row[who] / max(1, found['programs']):.0%})" for who in ("rules", "model") if who in row]
        if asked:
            cells += [str(row["both"]), "" if row["kappa"] is None else f"{row['kappa']:.2f}"]
        rows.append([TITLES[Theme(theme)], *cells])
    rows.append(["(no theme)", *(str(found["unlabelled"][who]) for who in found["unlabelled"]), *(["", ""] * asked)])
    drawn = ", ".join(f"{count} {verdict}" for verdict, count in found["drawn"].items() if verdict != "drawn")
    lines = [
        f"# Bugs in {found['folder']}\n",
        f"{found['programs']} failed programs of {found['drawn']['drawn']} drawn ({drawn or 'no other'}; "
        f"{found['passed_again']} passed or had no verdict when run again). A program may have several themes.\n",
        report.table(header, rows),
    ]
    if asked:
        agreement = "" if found["jaccard"] is None else f"; mean Jaccard index of the two sets {found['jaccard']:.2f}"
        lines.append(f"\nModel: {found['model']}. Both labelled {found['compared']} programs{agreement}.")
    return visible("\n".join(lines) + "\n")


def run(config: DictConfig) -> dict[str, Any]:
    """The whole story; returns what bugs.json holds. Raises what base/errors.py lists."""
    settings = BugsSettings.read(config)
    folder = Path(settings.folder).expanduser()
    source = Source.read(folder, settings.step, settings.split)
    out = source.out
    chosen, drawn = choose(source.rows, settings.problems, settings.samples, settings.seed)
    titles = {language.name: language.title for language in source.languages}
    with locked(out):
        again = run_again(chosen, source, Kept(out / "failures.jsonl"), settings.sandbox)
        failures = [failure for failure in again if failure is not None]
        rules = [themes(failure) for failure in failures]
        model: Labels | None = None
        if settings.model is not None:
            model = asyncio.run(label(failures, titles, out, settings))
    found = {
        "folder": str(folder),
        "languages": [language.name for language in source.languages],
        "model": None if settings.model is None else settings.model.name,
        "asked": {"problems": settings.problems, "samples": settings.samples, "seed": settings.seed},
        "programs": len(failures),
        "problems": len({failure.problem for failure in failures}),
        "drawn": drawn,
        "passed_again": len(again) - len(failures),
        **summary(rules, model),
    }
    labels = [
        {
            "problem": failure.problem,
            "sample": failure.sample,
            "language": failure.language,
            "verdict": failure.verdict,
            "rules": sorted(seen_by_rules),
            "model": None if model is None or model[number] is None else sorted(model[number] or ()),
        }
        for number, (failure, seen_by_rules) in enumerate(zip(failures, rules, strict=True))
    ]
    write_text(out / "labels.jsonl", "".join(json.dumps(row) + "\n" for row in labels))
    write_text(out / "bugs.json", json.dumps(found, indent=2))
    write_text(out / "bugs.md", page(found))
    return found


def main() -> None:
    script.main(
        lambda config: print(page(run(config)), end=""),
        "bugs",
        before=languages.register,
        interrupted="interrupted; every answer is kept, and the same command goes on",
    )

"""MultiPL-E in every language that is not refused: a right continuation passes and a wrong one fails.

The rows (`multipl_e_rows.yaml`) are ours: one problem, in the form that the benchmark gives it in each language.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import languages
from base.errors import DataError
from problems.sources.multipl_e import HARNESS, MultiplE, MultiplESettings
from sandbox.job import Job, Status, Verdict
from sandbox.pool import Pool

ROWS: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "multipl_e_rows.yaml").read_text("utf-8"))
QUICK = ("lua", "perl")  # of small roots that other tests build too, or nearly
KEYS = ("prompt", "tests", "stop_tokens")


def task(folder: Path, language: str) -> MultiplE:
    row = {"name": "Ours_0_count_twins", **{key: ROWS[language][key] for key in KEYS}}
    (folder / f"humaneval-{HARNESS[language]['name']}.jsonl").write_text(json.dumps(row) + "\n")
    config = MultiplESettings(name="multipl_e", root="humaneval", path=str(folder), style="completion")
    return MultiplE.load(config, languages.load(language))


def verdicts(task: MultiplE, *continuations: str) -> list[Verdict]:
    problem = task.problems[0]
    with Pool([task.language], workers=1) as pool:
        return pool.verify(
            [
                Job(str(number), task.language.name, task.program(problem, text), problem.tests, problem.compare)
                for number, text in enumerate(continuations)
            ]
        )


@pytest.mark.parametrize(
    "language", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in ROWS]
)
def test_a_right_continuation_passes_and_a_wrong_one_fails(tmp_path: Path, language: str) -> None:
    row = ROWS[language]
    right, wrong, broken = verdicts(task(tmp_path, language), row["right"], row["wrong"], "\n ((( '\"")
    assert right.passed, right
    for other in (wrong, broken):  # which may meet its time: a failed @test of Julia takes more than its 5 s here
        assert other.status in (Status.RUNTIME_ERROR, Status.COMPILE_ERROR, Status.TIMEOUT), other


def test_every_language_of_the_table_is_ours_and_has_a_row() -> None:
    assert set(ROWS) == set(HARNESS)
    assert set(HARNESS) <= set(languages.names())


@pytest.mark.parametrize("language", ["cobol", "commonlisp", "fortran"])
def test_a_language_that_the_harness_does_not_run_is_refused(tmp_path: Path, language: str) -> None:
    with pytest.raises(DataError, match=r"how its harness runs .* is not known here.* ada, bash, "):
        MultiplE.load(MultiplESettings(name="multipl_e", root="humaneval"), languages.load(language))

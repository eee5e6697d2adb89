"""Ag-LiveCodeBench-X (paper section 4.2): the 499 problems of LiveCodeBench 5.0 that read stdin. A benchmark only.

The statement holds formats and samples already, so the prompt shows no example. The hidden tests stay packed
(problems/sources/packed_tests.py). Outputs are compared as LiveCodeBench does it: by line, numbers as decimals.
"""

from __future__ import annotations

from collections.abc import Iterator

from base.errors import DataError
from base.text import plain
from problems.problem import Problem
from problems.settings import RowsSettings
from problems.sources import rows
from problems.sources.packed_tests import PackedError, PackedTests
from problems.sources.rows import BadRow, Row, Tally
from sandbox.job import Compare


def problems(dataset: RowsSettings, split: str, tally: Tally) -> Iterator[Problem]:
    """The problems of the only split, `test`; rows that make none are counted in `tally`. Raises DataError."""
    if split != "test":
        raise DataError(f"livecodebench_x has no split {split!r}, only test: it is a benchmark, never train on it")
    return rows.problems(rows.read(dataset, dataset.subset, split), problem, tally)


def problem(row: Row, where: str) -> Problem:
    """Raises BadRow, DataError."""
    name = rows.text(row, "question_id")
    packed = rows.text(row, "private_test_cases")
    if not name or not packed:
        raise BadRow("no question_id" if not name else "no tests")
    try:
        tests = PackedTests(packed)
    except PackedError as error:
        raise BadRow(str(error)) from error
    statement = rows.text(row, "question_content")
    if not statement:
        raise BadRow("no question_content")
    return Problem(f"lcb-{name}", plain(statement), tests, examples=0, compare=Compare("decimal"))

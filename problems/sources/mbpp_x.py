"""Ag-MBPP-X (paper section 3.1, appendix A): MBPP told as stdin/stdout problems, 776 of 974, exact comparison.

The splits are MBPP's own, by id, with the ten few-shot ids in train, as the authors train. The first test is the
prompt's example; every test counts.
"""

from __future__ import annotations

from collections.abc import Iterator

from base.errors import DataError
from problems.problem import Problem
from problems.settings import RowsSettings
from problems.sources import rows
from problems.sources.rows import BadRow, Row, Tally

SPLITS = {
    "train": {*range(1, 11), *range(601, 975)},
    "test": {*range(11, 511)},
    "validation": {*range(511, 601)},
}


def problems(dataset: RowsSettings, split: str, tally: Tally) -> Iterator[Problem]:
    """The problems of a split; rows that make none are counted in `tally`. Raises DataError."""
    if split not in SPLITS:
        raise DataError(f"mbpp_x has no split {split!r}; the splits are {', '.join(SPLITS)}")
    wanted = SPLITS[split]

    def make(row: Row, where: str) -> Problem | None:
        number = row.get("original_task_id")
        if isinstance(number, str) and number.isdecimal():  # a cell of CSV
            number = int(number)
        if type(number) is not int or not any(number in ids for ids in SPLITS.values()):
            raise BadRow("original_task_id is no number from 1 to 974")
        return problem(row, number, where) if number in wanted else None

    return rows.problems(rows.read(dataset, dataset.subset, "train"), make, tally)


def problem(row: Row, number: int, where: str) -> Problem:
    """Raises BadRow, DataError."""
    return Problem.from_row(
        {
            "id": f"mbpp-{number}",
            "statement": rows.text(row, "description"),
            "input_format": rows.text(row, "input_format"),
            "output_format": rows.text(row, "output_format"),
            "tests": rows.tests(row, "tests"),
        },
        where,
    )

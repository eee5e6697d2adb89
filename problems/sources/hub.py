"""Any data set of the hub, or a local file, by a map from our keys to its columns (conf/dataset/hub.yaml)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import field_validator

from problems.problem import Problem
from problems.settings import Name, RowsSettings
from problems.sources import rows
from problems.sources.rows import BadRow, Row, Tally

COLUMNS = ("id", "statement", "tests", "input_format", "output_format", "notes")


class HubSettings(RowsSettings):
    """conf/dataset/hub.yaml"""

    columns: dict[str, Name | None]  # COLUMNS -> the data set's
    compare: dict[str, Any]  # sandbox/compare.py
    examples: int  # tests that the prompt shows

    @field_validator("columns")
    @classmethod
    def _known(cls, columns: dict[str, str | None]) -> dict[str, str | None]:
        if unknown := sorted(set(columns) - set(COLUMNS)):
            raise ValueError(f"{{key}} has no key {unknown[0]!r}; the keys are {', '.join(COLUMNS)}")
        return columns


def problems(dataset: HubSettings, split: str, tally: Tally) -> Iterator[Problem]:
    """The problems of a split; rows that make none are counted in `tally`. Raises DataError."""
    fixed: dict[str, Any] = {"compare": dataset.compare, "examples": dataset.examples}
    number = -1

    def make(row: Row, where: str) -> Problem:
        nonlocal number
        number += 1
        found: dict[str, Any] = dict(fixed)
        for key, column in dataset.columns.items():
            if column is None:
                continue
            if column not in row:
                raise BadRow(f"no column {column!r}; the columns are {', '.join(row)}")
            if key == "tests":
                found[key] = rows.tests(row, column)
            elif key == "id":
                if not isinstance(row[column], int | str) or isinstance(row[column], bool):
                    raise BadRow(f"column {column!r}: an id is a string or a whole number")
                found[key] = str(row[column])
            else:
                found[key] = rows.text(row, column)
        found.setdefault("id", f"{split}-{number}")
        return Problem.from_row(found, where)

    return rows.problems(rows.read(dataset, dataset.subset, split), make, tally)

"""Any data set of the hub, or a local file, by a map from our keys to its columns (conf/dataset/hub.yaml)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from base.errors import DataError
from problems.problem import Problem
from problems.sources import rows
from problems.sources.rows import BadRow, Row, Tally

COLUMNS = ("id", "statement", "tests", "input_format", "output_format", "notes")


def problems(config: DictConfig, split: str, tally: Tally) -> Iterator[Problem]:
    """The problems of a split; rows that make none are counted in `tally`. Raises DataError."""
    columns: dict[str, str | None] = dict(config.columns)
    if unknown := sorted(set(columns) - set(COLUMNS)):
        raise DataError(f"dataset.columns has no key {unknown[0]!r}; the keys are {', '.join(COLUMNS)}")
    fixed: dict[str, Any] = {
        "compare": OmegaConf.to_container(config.compare),
        "examples": config.examples,
    }
    number = -1

    def make(row: Row, where: str) -> Problem:
        nonlocal number
        number += 1
        found: dict[str, Any] = dict(fixed)
        for key, column in columns.items():
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

    return rows.problems(rows.read(config, config.subset, split), make, tally)

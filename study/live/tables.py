"""Rollouts as tables: the parquet file of a step, of a held-out evaluation, or of an evaluation's samples."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from base.errors import DataError
from study.live.folders import Folder
from study.run_data import read_rows

SUMMARY = ("problem", "language", "verdict", "reward")  # the columns that a list of groups needs
SAMPLES = "samples"  # the table of an evaluation

Row = dict[str, Any]


@dataclass(frozen=True)
class Group:
    """All rows of one problem in one language; `rows` keep their place in the table as `number`."""

    problem: str
    language: str
    rows: list[Row]

    @property
    def verdicts(self) -> dict[str, int]:
        return dict(Counter(str(row.get("verdict")) for row in self.rows).most_common())

    @property
    def reward(self) -> float | None:
        known = [row["reward"] for row in self.rows if row.get("reward") is not None]
        return sum(known) / len(known) if known else None


@dataclass(frozen=True)
class Filter:
    """Which groups, and which of their rows, are wanted; "" wants all."""

    verdict: str = ""
    language: str = ""
    problem: str = ""  # a part of its id

    def groups(self, rows: Iterable[Row]) -> list[Group]:
        """In the order of the table."""
        found: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            problem, language = str(row.get("problem")), str(row.get("language") or "")
            if self.problem.lower() in problem.lower() and self.language in ("", language):
                found.setdefault((problem, language), []).append(row)
        groups = [Group(problem, language, group) for (problem, language), group in found.items()]
        return [group for group in groups if not self.verdict or self.verdict in group.verdicts]


@dataclass(frozen=True)
class Table:
    """One file of rollouts."""

    name: str  # step_000012, heldout_step_000008 or samples
    # Several while an evaluation goes on: a later row for the same sample counts. Texts: a long run has ten thousand.
    paths: tuple[str, ...]

    @property
    def step(self) -> int | None:
        digits = self.name.rpartition("_")[2]
        return int(digits) if digits.isdecimal() else None

    @property
    def title(self) -> str:
        if self.step is None:
            return self.name
        return f"held-out after step {self.step}" if self.name.startswith("heldout") else f"step {self.step}"

    def rows(self) -> list[Row]:
        """Every row. Raises DataError."""
        found: dict[object, Row] = {}
        for path in map(Path, self.paths):
            read = _rows if len(self.paths) == 1 else _part
            for row in read(path, *_stamp(path)):
                key = (row["problem"], row["sample"]) if self.name == SAMPLES and "sample" in row else len(found)
                found[key] = row
        return [{**row, "number": number} for number, row in enumerate(found.values())]

    def summary(self) -> list[Row]:
        """The rows with the columns of SUMMARY only: quick, for files with megabytes of text. Raises DataError."""
        if self.name == SAMPLES:
            return self.rows()
        path = Path(self.paths[0])
        return [{**row, "number": number} for number, row in enumerate(_summary(path, *_stamp(path)))]


def tables(folder: Folder) -> dict[str, Table]:
    """By name: a run's steps, then its held-out evaluations, each by step; or an evaluation's samples."""
    if folder.kind == "scores":
        whole = folder.path / "samples.parquet"
        paths = [*([whole] if whole.exists() else []), *sorted((folder.path / "samples").glob("part_*.parquet"))]
        return {SAMPLES: Table(SAMPLES, tuple(map(str, paths)))} if paths else {}
    place = str(folder.path / "rollouts")
    try:
        names = sorted(os.listdir(place))
    except OSError:
        return {}
    stems = [name.removesuffix(".parquet") for name in names if name.endswith(".parquet") and name[0] != "."]
    found = [Table(stem, (f"{place}/{stem}.parquet",)) for stem in stems]
    found = [table for table in found if table.step is not None]
    return {t.name: t for t in sorted(found, key=lambda table: (table.name.startswith("heldout"), table.step))}


def languages(rows: Sequence[Row]) -> list[str]:
    return sorted({str(row["language"]) for row in rows if row.get("language")})


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path.name} is gone") from error
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=8)
def _rows(path: Path, changed: int, size: int) -> list[Row]:
    return read_rows(path)


@lru_cache(maxsize=256)  # small files, all of which each look at a running evaluation wants
def _part(path: Path, changed: int, size: int) -> list[Row]:
    return read_rows(path)


@lru_cache(maxsize=2000)
def _summary(path: Path, changed: int, size: int) -> list[Row]:
    try:
        with pq.ParquetFile(path) as file:
            known = [name for name in SUMMARY if name in file.schema_arrow.names]
            rows: list[Row] = file.read(columns=known).to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"cannot read {path.name} ({' '.join(str(error).split())[:200]})") from error
    return rows

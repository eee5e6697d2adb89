"""A problem: what a program must read and print, in no programming language in particular.

The file format is JSONL, one problem a line, its keys the fields below (`tests` a list of {input, output} objects).
Only `id`, `statement` and `tests` are required.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from base import jsonl
from base.errors import DataError
from base.files import replacing
from base.text import plain
from problems.sources.packed_tests import PackedError, PackedTests
from sandbox.job import Compare, Test
from sandbox.job_rows import check_text, parse_compare, parse_tests

STYLES = ("headings", "bold", "plain")


@dataclass(frozen=True)
class Problem:
    id: str
    statement: str  # what to compute, in words
    tests: Sequence[Test]  # at least one; a tuple, or problems.sources.packed_tests.PackedTests
    input_format: str = ""
    output_format: str = ""
    notes: str = ""
    examples: int = 1  # how many of the tests, from the first, the prompt shows
    tier: int = 0  # difficulty, 0 when unknown; ladder: 1 (trivial) to 6 (easy contest level)
    compare: Compare = field(default_factory=Compare)
    style: str = "headings"  # of the prompt's sections: headings | bold | plain (problems/prompt.py)

    @classmethod
    def from_row(cls, row: Any, where: str) -> Problem:
        """`row` (decoded JSON) as a Problem. Raises DataError; `where` names the file and line in its message."""
        if not isinstance(row, dict):
            raise DataError(f"{where}: a problem is a JSON object, not {type(row).__name__}")
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(row) - known):
            raise DataError(f"{where}: unknown key {unknown[0]!r}; the keys are {', '.join(sorted(known))}")
        row = {key: plain(value) if isinstance(value, str) else value for key, value in row.items()}
        for key in ("id", "statement", "tests"):
            if not row.get(key) or (isinstance(row[key], str) and not row[key].strip()):
                raise DataError(f"{where}: key {key!r} is missing or empty")
        for key in ("id", "statement", "input_format", "output_format", "notes"):
            if not isinstance(row.get(key, ""), str):
                raise DataError(f"{where}: key {key!r} must be a string, not {type(row[key]).__name__}")
            check_text(row.get(key, ""), f"{where}: key {key!r}")
        for key in ("examples", "tier"):
            value = row.get(key, 0)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise DataError(f"{where}: key {key!r} must be a whole number of 0 or more, not {value!r}")
        if row.get("style", "headings") not in STYLES:
            raise DataError(f"{where}: style is {row['style']!r}; the styles are {', '.join(STYLES)}")
        row = dict(row, tests=_tests(row["tests"], where), compare=parse_compare(row.get("compare", {}), where))
        return cls(**row)

    def to_row(self, packed: bool = False) -> dict[str, Any]:
        """The JSON object that `from_row` reads back; defaults are left out. `packed`: packed tests stay packed."""
        row: dict[str, Any] = {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.name not in ("tests", "compare") and getattr(self, f.name) != f.default
        }
        if packed and isinstance(self.tests, PackedTests):
            row["tests"] = {"packed": self.tests.packed}
        else:
            row["tests"] = [test._asdict() for test in self.tests]
        if self.compare != Compare():
            compare: dict[str, Any] = {"rule": self.compare.rule}
            if self.compare.rule == "float":
                compare["tolerance"] = self.compare.tolerance
            if self.compare.checker is not None:
                compare["checker"] = vars(self.compare.checker)
            row["compare"] = compare
        return row


def _tests(value: Any, where: str) -> Sequence[Test]:
    if not isinstance(value, dict) or set(value) != {"packed"}:
        return parse_tests(value, where)
    if not isinstance(value["packed"], str):
        raise DataError(f"{where}: key 'tests.packed' must be a string")
    try:
        return PackedTests(value["packed"])
    except PackedError as error:
        raise DataError(f"{where}: {error}") from error


def read_jsonl(path: Path) -> Iterator[Problem]:
    """The problems of a JSONL file, in order; blank lines are skipped.

    Raises DataError naming the file and line of a row that is no JSON, has a wrong key, or repeats an id.
    """
    seen: set[str] = set()
    for where, row in jsonl.read(path):
        problem = Problem.from_row(row, where)
        if problem.id in seen:
            raise DataError(f"{where}: id {problem.id!r} appears twice")
        seen.add(problem.id)
        yield problem


def write_jsonl(path: Path, problems: Iterable[Problem], packed: bool = False) -> None:
    """Writes the file whole or not at all; with `packed`, packed tests stay packed, exactly as they are."""
    with replacing(path) as part, open(part, "w", encoding="utf-8", newline="\n") as out:
        for problem in problems:
            out.write(jsonl.encoded(problem.to_row(packed)) + "\n")

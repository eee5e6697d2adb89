"""A problem: what a program must read and print, in no programming language in particular.

The file format is JSONL, one problem a line, its keys the fields below (`tests` a list of {input, output} objects).
Only `id`, `statement` and `tests` are required.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from sandbox.job import Checker, Compare, Test

STYLES = ("headings", "bold", "plain")


class DataError(Exception):
    """A data file that cannot be used. The message is one sentence that names the file and the row."""


@dataclass(frozen=True)
class Problem:
    id: str
    statement: str  # what to compute, in words
    tests: Sequence[Test]  # at least one; a tuple, or problems.packed_tests.PackedTests
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
        for key in ("id", "statement", "tests"):
            if not row.get(key):
                raise DataError(f"{where}: key {key!r} is missing or empty")
        for key in ("id", "statement", "input_format", "output_format", "notes"):
            if not isinstance(row.get(key, ""), str):
                raise DataError(f"{where}: key {key!r} must be a string, not {type(row[key]).__name__}")
            _check_text(row.get(key, ""), f"{where}: key {key!r}")
        for key in ("examples", "tier"):
            value = row.get(key, 0)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise DataError(f"{where}: key {key!r} must be a whole number of 0 or more, not {value!r}")
        if row.get("style", "headings") not in STYLES:
            raise DataError(f"{where}: style is {row['style']!r}; the styles are {', '.join(STYLES)}")
        row = dict(row, tests=_tests(row["tests"], where), compare=_compare(row.get("compare", {}), where))
        return cls(**row)

    def to_row(self) -> dict[str, Any]:
        """The JSON object that `from_row` reads back; defaults are left out."""
        row: dict[str, Any] = {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.name not in ("tests", "compare") and getattr(self, f.name) != f.default
        }
        row["tests"] = [test._asdict() for test in self.tests]
        if self.compare != Compare():
            compare: dict[str, Any] = {"rule": self.compare.rule}
            if self.compare.rule == "float":
                compare["tolerance"] = self.compare.tolerance
            if self.compare.checker is not None:
                compare["checker"] = vars(self.compare.checker)
            row["compare"] = compare
        return row


def _tests(rows: Any, where: str) -> tuple[Test, ...]:
    if not isinstance(rows, list):
        raise DataError(f"{where}: key 'tests' must be a list, not {type(rows).__name__}")
    for n, row in enumerate(rows):
        if not isinstance(row, dict) or set(row) != {"input", "output"}:
            raise DataError(f"{where}: test {n} must be an object with the keys input, output")
        if not isinstance(row["input"], str) or not isinstance(row["output"], str):
            raise DataError(f"{where}: test {n}: input and output must be strings")
        _check_text(row["input"], f"{where}: test {n}: input")
        _check_text(row["output"], f"{where}: test {n}: output")
    return tuple(Test(row["input"], row["output"]) for row in rows)


def _check_text(text: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{what} is no Unicode text: character {error.start} is half of a surrogate pair ({text[error.start]!r})"
        ) from None


def _compare(row: Any, where: str) -> Compare:
    rules = ("exact", "tokens", "decimal", "lines", "float", "exit_code", "checker")
    if not isinstance(row, dict) or not set(row) <= {"rule", "tolerance", "checker"}:
        raise DataError(f"{where}: key 'compare' must be an object with the keys rule, tolerance, checker")
    if row.get("rule", "exact") not in rules:
        raise DataError(f"{where}: compare.rule is {row['rule']!r}; the rules are {', '.join(rules)}")
    tolerance = row.get("tolerance", Compare.tolerance)
    if (
        not isinstance(tolerance, int | float)
        or isinstance(tolerance, bool)
        or not 0 <= tolerance <= sys.float_info.max
    ):
        raise DataError(f"{where}: compare.tolerance must be a finite number of 0 or more, not {repr(tolerance)[:80]}")
    checker = row.get("checker")
    if (row.get("rule") == "checker") != (checker is not None):
        raise DataError(f"{where}: compare.checker goes with rule 'checker', and only with it")
    if checker is not None:
        if not isinstance(checker, dict) or set(checker) != {"language", "program"}:
            raise DataError(f"{where}: compare.checker must be an object with the keys language, program")
        for key, value in checker.items():
            if not isinstance(value, str):
                raise DataError(f"{where}: compare.checker.{key} must be a string, not {type(value).__name__}")
            _check_text(value, f"{where}: compare.checker.{key}")
        checker = Checker(**checker)
    return Compare(row.get("rule", "exact"), float(tolerance), checker)


def read_jsonl(path: Path) -> Iterator[Problem]:
    """The problems of a JSONL file, in order; blank lines are skipped.

    Raises DataError naming the file and line of a row that is no JSON, has a wrong key, or repeats an id.
    """
    seen: set[str] = set()
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            where = f"{path}, line {number}"
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
                raise DataError(f"{where}: not JSON ({error})") from None
            problem = Problem.from_row(row, where)
            if problem.id in seen:
                raise DataError(f"{where}: id {problem.id!r} appears twice")
            seen.add(problem.id)
            yield problem


def write_jsonl(path: Path, problems: Iterable[Problem]) -> None:
    """Writes beside `path` and renames, so that a reader never sees half a file."""
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "w", encoding="utf-8") as out:
            for problem in problems:
                out.write(json.dumps(problem.to_row(), ensure_ascii=False) + "\n")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)

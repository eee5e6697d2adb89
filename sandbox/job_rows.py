"""Tests and comparison rules as JSON, in the one format that problem files and `sandbox.verify` share."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from base import jsonl
from base.errors import DataError
from base.limits import Limits
from base.text import plain, program_input
from sandbox.compare import RULES, least_output
from sandbox.job import Checker, Compare, Test


def parse_tests(value: Any, where: str) -> tuple[Test, ...]:
    """A list of {input, output}, JSON text of one, or columns {input: [...], output: [...]}; strings, nothing else.

    Numbers, null and lists are refused, not spelled: a program prints text, and 1.0, true and null have many spellings.
    Texts are made plain (base/text.py). Raises DataError; `where` names the file and line in its message.
    """
    rows = test_rows(value, where)
    return tuple(_test(row, f"{where}, test {number}") for number, row in enumerate(rows))


def test_rows(value: Any, where: str) -> list[Any]:
    """The tests of any of the three shapes as a list. Raises DataError."""
    if isinstance(value, str):
        try:
            value = jsonl.parsed(value)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: key 'tests' is neither a list nor JSON text of one") from error
    if isinstance(value, dict):
        inputs, outputs = (value.get(side, value.get(f"{side}s")) for side in ("input", "output"))
        if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs):
            raise DataError(f"{where}: key 'tests' must be a list, or an object with as many inputs as outputs")
        value = [{"input": given, "output": expected} for given, expected in zip(inputs, outputs, strict=True)]
    if not isinstance(value, list):
        raise DataError(f"{where}: key 'tests' must be a list, not {_kind(value)}")
    if not value:
        raise DataError(f"{where}: no tests")
    return value


test_rows.__test__ = False  # type: ignore[attr-defined]  # pytest takes it for a test


def _test(row: Any, where: str) -> Test:
    if not isinstance(row, dict) or set(row) != {"input", "output"}:
        raise DataError(f"{where}: a test must be an object with the keys input, output")
    for side, text in row.items():
        if not isinstance(text, str):
            raise DataError(f"{where}: a test's {side} must be a string, not {_kind(text)}")
        check_text(text, f"{where}: a test's {side}")
    return Test(program_input(row["input"]), plain(row["output"]))


def _kind(value: Any) -> str:
    """A decoded value's type in the words of JSON."""
    kinds = {bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "an object", str: "a string"}
    return kinds.get(type(value), "null")


def check_output(job: str, compare: Compare, tests: Iterable[Test], limits: Limits, where: str) -> None:
    """Raises DataError where no program can print an expected output, since it is above the output cap."""
    cap = round(limits.output_mb * (1 << 20))
    for number, test in enumerate(tests):
        if (size := least_output(compare.rule, test.output)) > cap:
            raise DataError(
                f"{where}: {job!r}, test {number}: the expected output has {size / (1 << 20):.1f} MiB, and the limit "
                f"output_mb is {limits.output_mb:g}: no program can print it"
            )


def check_text(text: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{what} is no Unicode text: character {error.start} is half of a surrogate pair ({text[error.start]!r})"
        ) from error


def parse_compare(row: Any, where: str) -> Compare:
    if not isinstance(row, dict) or not set(row) <= {"rule", "tolerance", "checker"}:
        raise DataError(f"{where}: key 'compare' must be an object with the keys rule, tolerance, checker")
    if row.get("rule", "exact") not in RULES:
        raise DataError(f"{where}: compare.rule is {row['rule']!r}; the rules are {', '.join(RULES)}")
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
            check_text(value, f"{where}: compare.checker.{key}")
        checker = Checker(checker["language"], plain(checker["program"]))
    return Compare(row.get("rule", "exact"), float(tolerance), checker)

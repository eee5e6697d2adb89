"""Tests and comparison rules as JSON, in the one format that problem files and `sandbox.verify` share."""

from __future__ import annotations

import sys
from typing import Any

from base.errors import DataError
from sandbox.job import Checker, Compare, Test


def parse_tests(rows: Any, where: str) -> tuple[Test, ...]:
    if not isinstance(rows, list):
        raise DataError(f"{where}: key 'tests' must be a list, not {type(rows).__name__}")
    for n, row in enumerate(rows):
        if not isinstance(row, dict) or set(row) != {"input", "output"}:
            raise DataError(f"{where}: test {n} must be an object with the keys input, output")
        if not isinstance(row["input"], str) or not isinstance(row["output"], str):
            raise DataError(f"{where}: test {n}: input and output must be strings")
        check_text(row["input"], f"{where}: test {n}: input")
        check_text(row["output"], f"{where}: test {n}: output")
    return tuple(Test(row["input"], row["output"]) for row in rows)


def check_text(text: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{what} is no Unicode text: character {error.start} is half of a surrogate pair ({text[error.start]!r})"
        ) from error


def parse_compare(row: Any, where: str) -> Compare:
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
            check_text(value, f"{where}: compare.checker.{key}")
        checker = Checker(**checker)
    return Compare(row.get("rule", "exact"), float(tolerance), checker)

"""How a program's output is compared with the expected one. Runs on the host: expected outputs never enter a jail.

exact     equal after trailing white space is stripped from both (the paper's rule, section 3.3)
tokens    the same words, however they are spaced
decimal   LiveCodeBench's: strip, as many lines, each line equal or all its words equal as decimal numbers
lines     each line equal after it is stripped (Fortran's list-directed output begins with a blank)
float     the same words, numbers within an absolute or relative tolerance; NaN equals nothing
exit_code whatever is printed, a program that ends with exit code 0 is right (MultiPL-E's rule: it holds its own tests)
checker   not here: a program judges (sandbox/worker.py)

Both sides are made plain first (base/text.py), whatever the rule: CR LF is a line feed, a mark in front is no output.
"""

from __future__ import annotations

import math
import re

from base.text import plain
from sandbox.job import Compare

RULES = ("exact", "tokens", "decimal", "lines", "float", "exit_code", "checker")
# one way only to match any text: megabytes of digits take milliseconds, not days
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eEdD][+-]?\d+)?", re.ASCII)


def matches(compare: Compare, output: str, expected: str) -> bool:
    """Whether `output` is right. Raises ValueError for an unknown rule, and for `checker`."""
    output, expected = plain(output), plain(expected)
    match compare.rule:
        case "exact":
            return output.rstrip() == expected.rstrip()
        case "tokens":
            return output.split() == expected.split()
        case "lines":
            return _stripped_lines(output) == _stripped_lines(expected)
        case "decimal":
            return _decimal(output, expected)
        case "float":
            return _float(output.split(), expected.split(), compare.tolerance)
        case "exit_code":
            return True  # a program that failed never comes here
    raise ValueError(f"no comparison rule {compare.rule!r}; the rules are {', '.join(RULES)}")


def least_output(rule: str, expected: str) -> int:
    """Bytes of the shortest output that a rule could take for `expected`, a lower bound; 0 where any may be right."""
    match rule:
        case "exact" | "lines":
            return len("\n".join(_stripped_lines(expected)).encode(errors="replace"))
        case "tokens":
            return len(" ".join(expected.split()).encode(errors="replace"))
        case "decimal" | "float":  # a number can have a shorter spelling
            return max(0, 2 * len(expected.split()) - 1)
    return 0


def _stripped_lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().split("\n")]


def _decimal(output: str, expected: str) -> bool:
    ours, theirs = _stripped_lines(output), _stripped_lines(expected)
    if len(ours) != len(theirs):
        return False
    return all(a == b or _equal_decimals(a.split(), b.split()) for a, b in zip(ours, theirs, strict=True))


def _equal_decimals(ours: list[str], theirs: list[str]) -> bool:
    from decimal import Decimal, InvalidOperation  # a worker whose jobs are exact never loads it

    if len(ours) != len(theirs):
        return False
    try:
        return all(Decimal(a) == Decimal(b) for a, b in zip(ours, theirs, strict=True))
    except (InvalidOperation, ValueError):  # not a number; a signalling NaN
        return False


def _float(ours: list[str], theirs: list[str], tolerance: float) -> bool:
    if len(ours) != len(theirs):
        return False
    return all(_close(a, b, tolerance) for a, b in zip(ours, theirs, strict=True))


def _close(ours: str, theirs: str, tolerance: float) -> bool:
    if not NUMBER.fullmatch(theirs):  # a word: must be the same word
        return ours == theirs and not _is_nan(ours)
    if ours == theirs:  # also of more digits than a float can hold
        return True
    if not NUMBER.fullmatch(ours):
        return False
    a, b = _number(ours), _number(theirs)
    if not (math.isfinite(a) and math.isfinite(b)):
        return False
    return abs(a - b) <= tolerance * max(1.0, abs(b))


def _number(text: str) -> float:
    return float(text.replace("d", "e").replace("D", "e"))  # Fortran writes double precision as 1.0D+00


def _is_nan(text: str) -> bool:
    return text.strip("+-").lower() == "nan"

"""The JSON object in a model's answer: found, checked against the schema, and its tests against the assertions."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from problems.problem import Problem
from problems.reformulation import Refused
from problems.reformulation.source import UNKNOWN, Calls, Task
from problems.reformulation.statement import python_terms
from sandbox.answer.markdown import after_thinking
from sandbox.job import Test

TEXTS = ("description", "input_format", "output_format")
CODE = ("reader", "printer")
# Where an object may begin: at the start of a line, or of the text, or with the key that comes first.
OPENING = re.compile(r'^[ \t]*(\{)|(\{)(?=\s*"description")', re.MULTILINE)
MOST_OPENINGS = 50  # tried in one answer, so that a hostile one costs little
DECIMALS = re.compile(r"\d\.\d{5,}")
LARGEST_TEST = 1_000_000  # characters
TELLING = 3  # words; a shorter input may stand in a text by chance


@dataclass(frozen=True)
class Proposal:
    """What a model makes of a task."""

    description: str
    input_format: str
    output_format: str
    tests: tuple[Test, ...]
    reader: str = ""  # Python; empty where the task has no solution
    printer: str = ""

    def to_problem(self, name: str) -> Problem:
        return Problem(name, self.description, self.tests, self.input_format, self.output_format)


def parse(answer: str, finished: bool, with_code: bool) -> Proposal:
    """The proposal in an answer. `with_code`: reader and printer are wanted too. Raises Refused."""
    row = _object(after_thinking(answer) or "")
    if row is None:
        if not finished:
            raise Refused("cut_off", "the answer is too long, and was cut off before its JSON object ended")
        raise Refused("no_json", "there is no JSON object in the answer, or it is not valid JSON")
    keys = (*TEXTS, *(CODE if with_code else ()))
    for key in keys:
        value = row.get(key)
        if not isinstance(value, str) or not value.strip():
            raise Refused("schema", f'key "{key}" must be a string that is not empty')
    tests = row.get("tests")
    if not isinstance(tests, list):
        raise Refused("schema", 'key "tests" must be a list of objects')
    for number, test in enumerate(tests, start=1):
        if not isinstance(test, dict) or not all(isinstance(test.get(key), str) for key in ("input", "output")):
            raise Refused("schema", f'test {number} must be an object whose keys "input" and "output" hold strings')
    texts = [row[key] for key in keys] + [test[key] for test in tests for key in ("input", "output")]
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise Refused("schema", "a string holds half a character (a lone surrogate)") from error
        if len(text) > LARGEST_TEST:
            raise Refused("schema", f"a string has {len(text)} characters; the most is {LARGEST_TEST}")
    tests = tuple(Test(test["input"], test["output"]) for test in tests)
    return Proposal(
        **{key: row[key].strip() for key in TEXTS}, tests=tests, **{key: row[key] for key in keys if key in CODE}
    )


def _object(text: str) -> dict[str, Any] | None:
    """The first JSON object of a text, in a fence or not, or None. Line breaks inside strings are let through."""
    decoder = json.JSONDecoder(strict=False)
    for match in list(OPENING.finditer(text))[:MOST_OPENINGS]:
        try:
            row, _ = decoder.raw_decode(text, max(match.start(1), match.start(2)))
        except (ValueError, RecursionError):
            continue
        # An object inside one that is cut off or broken, such as a test, is not the answer.
        if isinstance(row, dict) and not set(row) <= {"input", "output"}:
            return row
    return None


def check(proposal: Proposal, task: Task, calls: Calls) -> None:
    """What can be seen without running anything. Raises Refused."""
    tests = proposal.tests
    if len(tests) != len(task.assertions):
        raise Refused("test_count", f"there are {len(tests)} tests for {len(task.assertions)} assertions")
    data = [text for test in tests for text in test]
    for key in TEXTS:
        if terms := python_terms(getattr(proposal, key), calls.function, data):
            quoted = ", ".join(repr(term) for term in terms[:5])
            raise Refused("python_terms", f'"{key}" uses words of Python or of the function: {quoted}')
    for number, test in enumerate(tests, start=1):
        for key, text in test._asdict().items():
            if value := _python_value(text, calls.texts):
                raise Refused("python_values", f"the {key} of test {number} has a value in Python's notation: {value}")
        if DECIMALS.search(test.output) and not any(DECIMALS.search(text) for text in calls.texts):
            raise Refused("python_values", f"the output of test {number} has more than 4 digits after the point")
    _check_hidden(proposal)
    _check_table(proposal, calls)


def _check_hidden(proposal: Proposal) -> None:
    """Refuses a text that quotes the input of a test beyond the first, which alone a prompt shows."""
    told = " ".join(word for key in TEXTS for word in getattr(proposal, key).split())
    for number, test in enumerate(proposal.tests[1:], start=2):
        words = test.input.split()
        if len(words) >= TELLING and re.search(rf"(?<!\w){re.escape(' '.join(words))}(?!\w)", told):
            raise Refused("hidden_test", f"the text gives test {number} away: of the tests, quote the first at most")


def _python_value(text: str, constants: Sequence[str] | frozenset[str]) -> str | None:
    """The first line of `text` that is a list, tuple, dict, set or quoted string of Python's, or None.

    A string of brackets may be just what a task is about, so a line that stands in a constant is let through.
    """
    for line in text.split("\n"):
        if line.strip()[:1] in ("[", "(", "{", "'", '"') or "," in line:
            try:
                value = ast.literal_eval(line.strip())
            except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
                continue
            kinds = list | tuple | dict | set | str
            if isinstance(value, kinds) and not any(line.strip() in constant for constant in constants):
                return line.strip()[:100]
    return None


def _check_table(proposal: Proposal, calls: Calls) -> None:
    """Refuses reader and printer that know the tests by heart, and outputs that do not tell results apart.

    Such would make any tests agree with themselves. A reader may know small numbers and single characters, a printer
    words such as "Not found".
    """
    known = _leaves(proposal.reader)
    for number, arguments in enumerate(calls.arguments, start=1):
        if known and (held := known & _leaves(arguments)):
            raise Refused("table", f"the reader holds {min(map(repr, held))}, an argument of assertion {number}")
    words = _leaves(proposal.printer)
    for number, test in enumerate(proposal.tests, start=1):
        if test.output.strip() in words and any(map(str.isdigit, test.output)):
            raise Refused("table", f"the printer holds the output of test {number}")
    seen: dict[str, tuple[int, Any]] = {}
    for number, (test, value) in enumerate(zip(proposal.tests, calls.expected, strict=True), start=1):
        if value is UNKNOWN:
            continue
        first, other = seen.setdefault(test.output.strip(), (number, value))
        if not _alike(value, other):
            raise Refused(
                "table", f"tests {first} and {number} have one output, but their assertions expect two values"
            )


def _leaves(code: str) -> set[int | float | str]:
    """The constants in Python code that are too long to stand there by chance."""
    try:
        nodes = list(ast.walk(ast.parse(code)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()  # the run will say what is wrong with it
    values = [node.value for node in nodes if isinstance(node, ast.Constant)]
    texts = {value for value in values if isinstance(value, str) and len(value.strip()) > 1}
    return texts | {v for v in values if isinstance(v, int | float) and not isinstance(v, bool) and abs(v) > 10}


def _alike(one: Any, other: Any) -> bool:
    """Equal, or numbers that 4 decimals may not tell apart."""
    if isinstance(one, float | int) and isinstance(other, float | int):
        return bool(one == other) or abs(one - other) < 2e-4
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    return bool(one == other)

"""The problem format: it round-trips, and a bad row is refused by file, line and key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import DataError
from base.text import plain, program_input
from problems.problem import Problem, read_jsonl, write_jsonl
from sandbox.job import Checker, Compare, Test

text = st.text(st.characters(exclude_categories=["Cs"]))
name = text.map(plain).filter(bool)
words = text.map(plain)
compares = st.one_of(
    st.sampled_from(["exact", "tokens", "decimal", "lines"]).map(Compare),
    st.floats(0, 1).map(lambda tolerance: Compare("float", tolerance)),
    st.builds(lambda program: Compare("checker", checker=Checker("lua", program)), text),
)
problems = st.builds(
    Problem,
    id=name.filter(str.strip),
    statement=name.filter(str.strip),
    tests=st.lists(st.builds(Test, text.map(program_input), words), min_size=1, max_size=3).map(tuple),
    input_format=words,
    output_format=words,
    notes=words,
    examples=st.integers(0, 3),
    tier=st.integers(0, 6),
    compare=compares,
)


@given(problems)
def test_a_row_reads_back_as_it_was(problem: Problem) -> None:
    assert Problem.from_row(json.loads(json.dumps(problem.to_row())), "here") == problem


def test_a_file_reads_back_as_it_was(tmp_path: Path) -> None:
    written = [Problem(str(n), "Print é\u2028.", (Test("a\n", "b"),)) for n in range(3)]
    write_jsonl(tmp_path / "p.jsonl", written)
    assert list(read_jsonl(tmp_path / "p.jsonl")) == written
    assert [path.name for path in tmp_path.iterdir()] == ["p.jsonl"]


GOOD: dict[str, Any] = {"id": "a", "statement": "s", "tests": [{"input": "1", "output": "2"}]}
BAD = {
    "not JSON": ("{", "line 2: not JSON"),
    "JSON too deep": ("[" * 100_000, "line 2: not JSON"),
    "bytes that are no text": (b"\xff\xfe", "line 2: not UTF-8 (byte 0)"),
    "not an object": ("[1]", "line 2: a problem is a JSON object, not list"),
    "an unknown key": (GOOD | {"id": "b", "test": 1}, "line 2: unknown key 'test'; the keys are compare"),
    "no statement": ({"id": "b", "tests": GOOD["tests"]}, "line 2: key 'statement' is missing"),
    "a blank statement": (GOOD | {"id": "b", "statement": " \n"}, "line 2: key 'statement' is missing or empty"),
    "a statement of a mark": (GOOD | {"id": "b", "statement": "\ufeff\n"}, "line 2: key 'statement' is missing"),
    "tests twice": ('{"id": "b", "statement": "s", "tests": [], "tests": []}', "line 2: not JSON"),
    "tests as text with a key twice": (GOOD | {"id": "b", "tests": '[{"input": "", "output": "1", "output": "2"}]'},
                                       "line 2: key 'tests' is neither a list"),
    "no tests": (GOOD | {"id": "b", "tests": []}, "line 2: key 'tests' is missing or empty"),
    "tests that are no list": (GOOD | {"id": "b", "tests": "x"}, "line 2: key 'tests' is neither a list"),
    "a test without output": (GOOD | {"id": "b", "tests": [{"input": "1"}]}, "line 2, test 0: a test must"),
    "a number for output": (
        GOOD | {"id": "b", "tests": [{"input": "1", "output": 2}]},
        "line 2, test 0: a test's output must be a string, not a number",
    ),
    "an id twice": (GOOD, "line 2: id 'a' appears twice"),
    "a negative tier": (GOOD | {"id": "b", "tier": -1}, "line 2: key 'tier' must be a whole number"),
    "an unknown rule": (GOOD | {"id": "b", "compare": {"rule": "close"}}, "the rules are exact"),
    "a checker rule without checker": (GOOD | {"id": "b", "compare": {"rule": "checker"}}, "compare.checker"),
    "a tolerance of NaN": ('{"id": "b", "statement": "s", "tests": [{"input": "", "output": ""}], '
                           '"compare": {"rule": "float", "tolerance": NaN}}', "compare.tolerance"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_row_is_named(case: str, tmp_path: Path) -> None:
    row, message = BAD[case]
    line = row if isinstance(row, bytes) else (row if isinstance(row, str) else json.dumps(row)).encode()
    path = tmp_path / "p.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n" + line + b"\n")
    with pytest.raises(DataError, match=str(path)) as caught:
        list(read_jsonl(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_test_of_100_megabytes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    row = {"id": "a", "statement": "s", "tests": [{"input": "1\n" * 50_000_000, "output": "x"}]}
    path.write_text(json.dumps(row) + "\n")
    (problem,) = read_jsonl(path)
    assert len(problem.tests[0].input) == 100_000_000


def test_half_a_surrogate_pair_is_refused() -> None:
    row = json.loads('{"id": "a", "statement": "s\\ud83d", "tests": [{"input": "", "output": ""}]}')
    with pytest.raises(DataError, match=r"here: key 'statement' is no Unicode text: character 1"):
        Problem.from_row(row, "here")

"""Ag-MBPP-X, Ag-LiveCodeBench-X and data sets read by a column map, on small copies of their schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import languages
from base.errors import DataError, UserError
from problems.load import load
from problems.problem import Problem
from problems.prompt import render
from problems.sources.packed_tests import PackedTests
from sandbox.job import Compare, Test
from tests.problems.packing import pack
from tests.problems.source_rows import config, loaded, mbpp, write_lines, write_parquet


@pytest.mark.parametrize(
    ("split", "expected"),
    [("train", [1, 10, 601, 974]), ("test", [11, 510]), ("validation", [511, 600])],
)
def test_mbpps_splits_go_by_id(split: str, expected: list[int], tmp_path: Path) -> None:
    path = write_lines(tmp_path / "p.jsonl", [mbpp(n) for n in (1, 10, 11, 510, 511, 600, 601, 974)])
    problems, tally = loaded(config("mbpp_x", path=path, heldout=split), "heldout")
    assert [problem.id for problem in problems] == [f"mbpp-{n}" for n in expected]
    assert tally.dropped == {}


def test_an_mbpp_row_becomes_a_problem(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "p.jsonl", [mbpp(5)])
    assert loaded(config("mbpp_x", path=path), "train")[0] == [
        Problem(
            id="mbpp-5",
            statement="Add 5 to a number.",
            tests=(Test("0\n", "5\n"), Test("1\n", "6\n"), Test("2\n", "7\n")),
            input_format="One integer.",
            output_format="One integer.",
        )
    ]


def lcb(name: str, packed: str | None = None, **changed: Any) -> dict[str, Any]:
    tests = json.dumps([{"input": "2\n", "output": "4.0"}, {"input": "3\n", "output": "9.0"}])
    row = {
        "question_id": name,
        "question_content": "Square it.\n\nInput\n\nA number.\n\nSample Input 1:\n2\n\nSample Output 1:\n4.0\n",
        "private_test_cases": pack(tests) if packed is None else packed,
    }
    return row | changed


def test_a_livecodebench_row_becomes_a_problem(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data/test-00000-of-00001.parquet", [lcb("abc1_a"), lcb("1873_A")])
    problems, tally = loaded(config("livecodebench_x", path=tmp_path), "heldout")
    assert [problem.id for problem in problems] == ["lcb-abc1_a", "lcb-1873_A"]
    problem = problems[0]
    assert isinstance(problem.tests, PackedTests)
    assert tuple(problem.tests) == (Test("2\n", "4.0"), Test("3\n", "9.0"))
    assert problem.compare == Compare("decimal")
    assert (tally.kept, tally.tests) == (2, 4)
    text = render(problem, languages.load("lua"))
    assert problem.statement in text and "9.0" not in text and "# Example" not in text


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (lcb("x", packed=""), "no tests"),
        (lcb("x", private_test_cases=None), "no tests"),
        (lcb("", packed=None), "no question_id"),
        (lcb("x", question_content=""), "no question_content"),
        (lcb("x", packed="cos\nsystem"), "the packed tests are not base64"),
        (lcb("x", packed=pack("[]")), "the packed tests are no list, or an empty one"),
    ],
)
def test_a_bad_livecodebench_row_is_counted(row: dict[str, Any], reason: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "test.jsonl", [lcb("a"), row, lcb("b")])
    problems, tally = loaded(config("livecodebench_x", path=path), "heldout")
    assert [problem.id for problem in problems] == ["lcb-a", "lcb-b"]
    assert tally.dropped == {reason: ["test.jsonl, line 2"]}


@pytest.mark.parametrize("train", [None, "train"])
def test_livecodebench_is_never_trained_on(train: str | None, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "test.jsonl", [lcb("a")])
    with pytest.raises(DataError, match="livecodebench_x has no"):
        load(config("livecodebench_x", path=path, train=train), "train")


PAIRS = [{"input": "1", "output": "2"}, {"input": "3", "output": "4"}]
SHAPES = {
    "a list": PAIRS,
    "JSON": json.dumps(PAIRS),
    "columns": {"input": ["1", "3"], "output": ["2", "4"]},
    "columns as JSON, in the plural": json.dumps({"inputs": ["1", "3"], "outputs": ["2", "4"]}),
    "more keys": [pair | {"testtype": "stdin"} for pair in PAIRS],
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("write", [write_lines, write_parquet])
def test_any_data_set_by_a_map_of_columns(shape: str, write: Any, tmp_path: Path) -> None:
    row = {"key": 7, "question": "Add one.", "cases": SHAPES[shape], "in": "A number.", "left": None}
    path = write(tmp_path / ("p.jsonl" if write is write_lines else "p.parquet"), [row])
    columns = {"id": "key", "statement": "question", "tests": "cases", "input_format": "in", "notes": "left"}
    found = loaded(
        config("hub", path=path, columns=columns, compare={"rule": "float", "tolerance": 0.1}, examples=0), "train"
    )[0]
    tests = (Test("1\n", "2"), Test("3\n", "4"))
    compare = Compare("float", 0.1)
    assert found == [Problem("7", "Add one.", tests, "A number.", examples=0, compare=compare)]


def test_rows_without_an_id_are_numbered(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "p.jsonl", [{"statement": "s", "tests": PAIRS}, {"statement": "t", "tests": PAIRS}])
    assert [problem.id for problem in loaded(config("hub", path=path), "train")[0]] == ["train-0", "train-1"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"columns": {"statment": "s"}}, "dataset.columns has no key 'statment'; the keys are id, statement"),
        ({"columns": {"statement": "question"}}, "dataset.train=train holds no problem"),
        ({"compare": {"rule": "close"}}, "dataset.train=train holds no problem"),
    ],
)
def test_a_wrong_map_is_named(
    keys: dict[str, Any], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_lines(tmp_path / "p.jsonl", [{"statement": "s", "tests": PAIRS}])
    with pytest.raises(UserError, match=message):
        load(config("hub", path=path, **keys), "train")
    if "question" in str(keys):
        assert "1 dropped: no column 'question'; the columns are statement, tests" in capsys.readouterr().err

"""The JSON object in an answer, and what is wrong with one before anything is run."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from problems.reformulation import Refused, proposal, source
from problems.reformulation.source import Task
from sandbox.job import Test
from tests.problems.reformulation.rows import GOOD, ROWS, fenced

TASKS = {
    name: (Task("1", row["text"], tuple(row["test_list"]), row["code"])) for name, row in zip(GOOD, ROWS, strict=False)
}
ROW = GOOD["sum_squares"]


def refusal(answer: str, finished: bool = True, with_code: bool = True) -> tuple[str, str]:
    with pytest.raises(Refused) as refused:
        proposal.parse(answer, finished, with_code)
    return refused.value.reason, str(refused.value)


def checked(name: str = "sum_squares", **changes: Any) -> tuple[str, str] | None:
    """The refusal of a good answer with some changes, or None."""
    task = TASKS[name]
    found = proposal.parse(json.dumps({**GOOD[name], **changes}), True, True)
    try:
        proposal.check(found, task, source.calls(task))
    except Refused as refused:
        return refused.reason, str(refused)
    return None


def with_test(number: int, **changes: str) -> list[dict[str, str]]:
    tests: list[dict[str, str]] = copy.deepcopy(ROW["tests"])
    tests[number].update(changes)
    return tests


@pytest.mark.parametrize("name", GOOD)
def test_good_answers_are_let_through(name: str) -> None:
    assert checked(name) is None


@pytest.mark.parametrize(
    "answer",
    [
        json.dumps(ROW),
        fenced(ROW),
        f"Sure! {json.dumps(ROW)} Hope that helps {{}}",
        f"The set {{a, b}} becomes\n{json.dumps(ROW)}",
        f'<think>\n{{}} maybe {{"description": 1}}\n</think>\n{json.dumps(ROW)}',
        fenced(ROW).replace("```json", "~~~").replace("```", "~~~"),
        fenced(ROW).replace("\n", "\r\n"),
        fenced({**ROW, "comment": [1, 2]}),
        json.dumps(ROW) + "\n" + json.dumps({**ROW, "description": "a second one"}),
        json.dumps(ROW, indent=1)[:-1] + "}",
        json.dumps(ROW).replace("\\n", "\n"),  # line breaks inside strings, as models write them
    ],
)
def test_the_first_object_is_found(answer: str) -> None:
    found = proposal.parse(answer, True, True)
    assert found.description == ROW["description"]
    assert found.tests[0] == Test("3\n1 2 3\n", "14\n")
    assert found.reader == ROW["reader"]


def test_without_a_solution_no_code_is_wanted() -> None:
    row = {key: value for key, value in ROW.items() if key not in ("reader", "printer")}
    found = proposal.parse(json.dumps(row), True, False)
    assert (found.reader, found.printer) == ("", "")
    assert refusal(json.dumps(row)) == ("schema", 'key "reader" must be a string that is not empty')


def test_half_a_json() -> None:
    whole = fenced(ROW)
    cut = whole[: whole.index('"output": "16"')]
    assert '"input": "0\\n\\n"' in cut  # a test before the cut is whole, and no answer
    assert refusal(cut) == ("no_json", "there is no JSON object in the answer, or it is not valid JSON")
    assert refusal(cut, finished=False)[0] == "cut_off"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"description": 5}, 'key "description" must be a string'),
        ({"description": " \n"}, 'key "description" must be a string that is not empty'),
        ({"output_format": None}, 'key "output_format"'),
        ({"printer": ["x"]}, 'key "printer"'),
        ({"tests": {}}, 'key "tests" must be a list'),
        ({"tests": ["1"]}, "test 1 must be an object"),
        ({"tests": [{"input": "1", "output": 2}]}, "test 1 must be an object"),
        ({"tests": [{"input": "1", "output": "2"}, {"input": "1"}]}, "test 2 must be an object"),
        ({"input_format": "\ud800"}, "half a character"),
        ({"tests": [{"input": "x" * 2_000_000, "output": ""}]}, "2000000 characters"),
    ],
)
def test_schema(changes: dict[str, Any], sentence: str) -> None:
    reason, detail = refusal(json.dumps({**ROW, **changes}))
    assert reason == "schema" and sentence in detail


@pytest.mark.parametrize(
    ("changes", "reason", "sentence"),
    [
        ({"tests": ROW["tests"][:2]}, "test_count", "there are 2 tests for 3 assertions"),
        ({"tests": []}, "test_count", "there are 0 tests for 3 assertions"),
        ({"description": "Sum a tuple."}, "python_terms", "uses words of Python or of the function: 'tuple'"),
        ({"input_format": "What sum_squares takes."}, "python_terms", "'sum_squares'"),
        ({"output_format": "An int."}, "python_terms", "'int'"),
        ({"tests": with_test(0, input="[1, 2]")}, "python_values", "input of test 1 has a value in Python's notation"),
        ({"tests": with_test(0, input="3\n1, 2, 3")}, "python_values", "1, 2, 3"),
        ({"tests": with_test(2, output="'16'")}, "python_values", "the output of test 3"),
        ({"tests": with_test(2, output="16.000001")}, "python_values", "more than 4 digits"),
        ({"tests": with_test(2, input="2\n0 4"), "input_format": "As in: 2\n0 4."}, "hidden_test", "gives test 3 away"),
        ({"tests": with_test(2, output="14")}, "table", "tests 1 and 3 have one output, but"),
        ({"printer": "def printer(value):\n    return {14: '14', 0: '0', 16: '16'}[value]"}, "table", "printer holds"),
    ],
)  # fmt: skip
def test_what_can_be_seen_without_running(changes: dict[str, Any], reason: str, sentence: str) -> None:
    refused = checked(**changes)
    assert refused is not None
    assert refused[0] == reason and sentence in refused[1]


def test_the_first_test_may_be_quoted() -> None:
    assert checked(description="Add squares up. Of 3 1 2 3 that is 14.") is None
    near = with_test(2, input="3\n1 2 35")
    assert checked(tests=near, description="Add squares up. Of 3 1 2 3 that is 14.") is None


def test_a_reader_that_knows_the_arguments() -> None:
    table = "def reader(text):\n    return {'1': ((11, 12), (13, 12)), '2': ((3, 4, 5), (5, 4, 9))}[text]"
    refused = checked("shared", reader=table)
    assert refused == ("table", "the reader holds 11, an argument of assertion 2")
    words = "def reader(text):\n    return ('level' if text == '1' else 'lever',)"
    assert checked("is_palindrome", reader=words) == ("table", "the reader holds 'level', an argument of assertion 1")


def test_brackets_that_are_data_are_let_through() -> None:
    assert checked("balanced") is None
    tests = [{"input": "[]", "output": "True"}, {"input": "[1]", "output": "False"}]
    assert checked("balanced", tests=tests) == (
        "python_values",
        "the input of test 2 has a value in Python's notation: [1]",
    )


@given(st.text(alphabet='{}[]":,\\ntf1 `~\n', max_size=60) | st.text())
def test_any_answer_is_parsed_or_refused(answer: str) -> None:
    try:
        proposal.parse(answer, True, True)
    except Refused as refused:
        assert refused.reason in ("no_json", "schema")


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(str.strip),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.text(alphabet="abc \n", max_size=20),
    st.booleans(),
)
def test_whatever_a_string_holds_it_is_read_back(text: str, value: str, before: str, indent: bool) -> None:
    row = {**ROW, "description": text, "tests": [{"input": value, "output": text}]}
    found = proposal.parse(f"{before}\n{json.dumps(row, indent=2 if indent else None)}\n", True, True)
    assert found.description == text.strip()
    assert found.tests == (Test(value, text),)


def test_a_hostile_answer_costs_little() -> None:
    for answer in ('{"a":' * 100_000, "{\n" * 200_000, '{"description":"' * 50_000, "[" * 10**6):
        assert refusal(answer)[0] == "no_json"

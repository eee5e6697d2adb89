"""Tasks with unit tests: the columns of a data set, what assertions call, and what is wrong with a row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from base.errors import ConfigError, DataError
from problems.load import dataset
from problems.reformulation import Refused
from problems.reformulation.source import UNKNOWN, Task, calls, load
from problems.settings import DatasetSettings
from tests.conftest import ROOT
from tests.problems.reformulation import rows


def config(**keys: Any) -> DatasetSettings:
    return dataset(OmegaConf.merge(OmegaConf.load(ROOT / "conf/dataset/mbpp.yaml"), dict[Any, Any](keys)))


def task(*assertions: str, solution: str | None = "def f(*a): return a", setup: str = "") -> Task:
    return Task("1", "Do it.", assertions, solution, setup)


def test_rows_of_mbpp(tmp_path: Path) -> None:
    tasks = load(config(path=str(rows.write(tmp_path / "mbpp.jsonl"))))
    assert [task.id for task in tasks] == ["1", "2", "3", "4", "5", "6", "7"]
    assert tasks[0].solution == "def sum_squares(nums):\n    return sum(n * n for n in nums)"
    assert tasks[3].setup == "import math"
    assert tasks[4].description.endswith("é")


def test_rows_of_the_sanitized_set(tmp_path: Path) -> None:
    row = {
        "task_id": 8,
        "prompt": "Do it.",
        "code": "x = 1",
        "test_imports": ["import math", "import re"],
        "test_list": [" assert 1 "],
    }
    path = tmp_path / "sanitized.jsonl"
    path.write_text(json.dumps(row) + "\n\n")
    assert load(config(path=str(path))) == [Task("8", "Do it.", ("assert 1",), "x = 1", "import math\nimport re")]


def test_columns_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"q": "Do it.", "a": ["assert f(1)"], "n": "x/1"}\n')
    columns = {"id": "n", "description": "q", "assertions": "a", "solution": None, "setup": None}
    assert load(config(path=str(path), columns=columns)) == [Task("x/1", "Do it.", ("assert f(1)",), None)]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"{", "line 2: not JSON"),
        (b"\xff\xfe", "line 2: not UTF-8"),
        (b"[" * 100_000, "line 2: not JSON"),
        (b"[]", "line 2: a task is a JSON object, not list"),
        (b'{"task_id": 1, "text": "x"}', "line 2: no column test_list; it has task_id, text"),
        (b'{"task_id": 1, "test_list": []}', "line 2: no column text or prompt; it has task_id, test_list"),
        (b'{"task_id": true, "text": "x", "test_list": []}', "line 2: column 'task_id' must be a string, not bool"),
        (b'{"task_id": " ", "text": "x", "test_list": []}', "line 2: column 'task_id' is empty"),
        (b'{"task_id": 1, "text": "\\ufeff", "test_list": []}', "line 2: column 'text' is empty"),
        (
            b'{"task_id": 1, "text": "\\ud800", "test_list": []}',
            "line 2: column 'text' is no Unicode text: character 0",
        ),
        (b'{"task_id": 1, "text": 5, "test_list": []}', "line 2: column 'text' must be a string, not int"),
        (b'{"task_id": 1, "text": "x", "test_list": "a"}', "column 'test_list' must be a list of strings, not str"),
        (b'{"task_id": 1, "text": "x", "test_list": [1]}', "column 'test_list' must be a list of strings"),
        (b'{"task_id": 0, "text": "x", "test_list": []}', "line 2: id '0' appears twice"),
    ],
)
def test_a_bad_row_is_one_sentence(line: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b'{"task_id": 0, "text": "x", "test_list": []}\n' + line + b"\n")
    with pytest.raises(DataError) as error:
        load(config(path=str(path)))
    assert sentence in str(error.value) and str(path) in str(error.value)


def test_a_bad_config_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(DataError, match="there is no file"):
        load(config(path=str(tmp_path / "none.jsonl")))
    with pytest.raises(DataError, match="holds no task"):
        load(config(path=str(tmp_path / "empty.jsonl")))
    with pytest.raises(ConfigError, match=r"dataset\.columns: the fields are id, description"):
        load(config(path="x", columns={"question": "q"}))
    with pytest.raises(DataError, match="dataset=ladder is no set of tasks"):
        load(dataset({"name": "ladder", "train": "x"}))


def test_what_is_called() -> None:
    found = calls(task("assert f(1, [2, 'ab']) == (1, 'c')", "assert set(f((), {3})) == {f.__name__}"))
    assert found.function == "f"
    assert found.arguments == ("(1, [2, 'ab'])", "((), {3})")
    assert found.expected == ((1, "c"), UNKNOWN)
    assert found.texts == {"ab", "c"}
    assert calls(task("assert f() == 1")).arguments == ("()",)
    assert calls(task("assert f(1)")).arguments == ("(1,)",)
    nested = "def g(x): return x\ndef f(x): return x"
    assert calls(task("assert f(1) == 1", "assert g(f(2))", solution=nested)).function == "f"
    assert calls(task("assert math.isclose(f(math.pi), 1)", setup="import math")).arguments == ("(math.pi,)",)
    assert calls(task("assert len(solve(1)) == 1", solution=None)).function == "solve"
    assert calls(task("assert h(1)", solution="h = lambda x: x")).function == "h"


@pytest.mark.parametrize(
    ("unusable", "sentence"),
    [
        (task(), "no assertions"),
        (task("assert f('" + "x" * 200_000 + "')"), "assertions of 200012 characters"),
        (task("assert f("), "assertion 1 is not Python"),
        (task("assert f(1)", "f(2)"), "assertion 2 is no single assert statement"),
        (task("assert g(1)"), "assertion 1 calls no function of the solution"),
        (task("assert f(f(1))"), "assertion 1 calls f 2 times"),
        (task("assert f(1)", "assert g(1)", solution="def f(): 0\ndef g(): 0"), "call different functions"),
        (task("assert f(x=1)"), "assertion 1 names its arguments"),
        (task("assert f(*[1])"), "assertion 1 names its arguments"),
        (task("assert f(lambda x: x)"), "assertion 1 passes a function"),
        (task("assert f(root)", setup="root = 1"), "assertion 1 passes root, which is no plain value"),
        (task("assert f(1)", solution="print 1"), "the solution is not Python 3"),
    ],
)
def test_a_task_of_no_use(unusable: Task, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence) as refused:
        calls(unusable)
    assert refused.value.reason == "source"

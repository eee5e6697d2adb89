"""Rows from local copies of every kind; what is bad is counted with its reason, and costs no other row."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from base.errors import DataError, UserError
from problems.load import load
from sandbox.job import Test
from tests.conftest import ROOT
from tests.problems.source_rows import config, loaded, mbpp, write_lines, write_parquet

IDS = ["mbpp-1", "mbpp-2", "mbpp-601"]
ROWS = [mbpp(n) for n in (1, 2, 11, 601)]


def as_file(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "any.jsonl", ROWS)


def as_folder(tmp_path: Path) -> Path:
    write_lines(tmp_path / "train-00000.jsonl", ROWS[:2])
    write_lines(tmp_path / "train-00001.jsonl", ROWS[2:])
    for other in ("test", "train_hard", "train.lua", "trained"):
        write_lines(tmp_path / f"{other}.jsonl", [b"never read"])
    return tmp_path


def as_subset(tmp_path: Path) -> Path:
    write_parquet(tmp_path / "full" / "train-00000-of-00001.parquet", ROWS)
    return tmp_path


def as_json(tmp_path: Path) -> Path:
    (tmp_path / "train.json").write_text(json.dumps(ROWS))
    return tmp_path


def as_clone(tmp_path: Path) -> Path:
    """A repository as the hub has it: only its README knows where the files are."""
    write_parquet(tmp_path / "data" / "x.parquet", ROWS)
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- config_name: full\n  data_files:\n  - split: train\n    path: data/x.parquet\n---\n# Card\n"
    )
    return tmp_path


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("copy", [as_file, as_folder, as_subset, as_json, as_clone])
def test_a_local_copy_of_any_kind_is_read(
    copy: Any, streaming: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    path = tmp_path / "copy"
    path.mkdir()
    problems, tally = loaded(config("mbpp_x", path=copy(path), streaming=streaming), "train")
    assert [problem.id for problem in problems] == IDS
    assert (tally.kept, tally.tests, tally.dropped) == (3, 9, {})


def test_nothing_is_guessed_from_what_a_value_looks_like(tmp_path: Path) -> None:
    """An id 007 is not 7, "NA" not nothing, and a test's output no date, in CSV as in JSON."""
    tests = [{"input": "2020-01-01", "output": "1.0"}]
    rows = [
        {"id": n, "statement": s, "tests": json.dumps(tests)} for n, s in (("007", "NA"), ("7", "12"), ("é", "nan"))
    ]
    as_csv = io.StringIO(newline="")
    table = csv.DictWriter(as_csv, ["id", "statement", "tests"])
    table.writeheader()
    table.writerows([*rows, {"id": "none"}])
    (tmp_path / "p.csv").write_text("\ufeff" + as_csv.getvalue() + "a,b\n", encoding="utf-8", newline="")
    (tmp_path / "p.json").write_text(json.dumps([*(row | {"tests": tests} for row in rows), {"id": 3}, 4]))
    for name, bad in (
        ("p.csv", {"no tests": ["p.csv, line 5"], "not as many cells as columns": ["p.csv, line 6"]}),
        (
            "p.json",
            {"no column 'statement'; the columns are id": ["p.json, row 3"], "not a JSON object": ["p.json, row 4"]},
        ),
    ):
        problems, tally = loaded(config("hub", path=tmp_path / name, columns={"id": "id"}), "train")
        assert [(problem.id, problem.statement) for problem in problems] == [("007", "NA"), ("7", "12"), ("é", "nan")]
        assert {problem.tests for problem in problems} == {(Test("2020-01-01\n", "1.0"),)}
        assert tally.dropped == bad


@pytest.mark.parametrize("data", [b"id,id\n1,2\n", b"id,statement\n1,\xff\n", b'id\n1\n"x\n2\n'])
def test_a_table_that_is_none_is_one_sentence(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(data)
    with pytest.raises(DataError, match=r"p\.csv"):
        loaded(config("hub", path=tmp_path / "p.csv"), "train")


def test_a_key_that_one_test_lacks_is_null_in_parquet(tmp_path: Path) -> None:
    tests = [{"input": "1", "output": "2"}, {"input": "1", "output": "2", "testtype": "stdin"}]
    path = write_parquet(tmp_path / "p.parquet", [mbpp(1, tests=tests)])
    problems, _ = loaded(config("mbpp_x", path=path, streaming=True), "train")
    assert [len(problem.tests) for problem in problems] == [2]


BAD: dict[str, tuple[Any, str]] = {
    "a test that calls a function": (
        {**mbpp(3), "tests": [{"input": "1", "output": "1", "testtype": "functional"}]},
        "a test calls a function, and reads no standard input",
    ),
    "half a row": (json.dumps(mbpp(3)).encode()[:60], "not JSON, or half a row"),
    "not UTF-8": (json.dumps(mbpp(3)).encode().replace(b"number", b"\xff\xfe"), "not UTF-8"),
    "half a character": (
        json.dumps(mbpp(3)).replace("number", "\\ud800").encode(),
        "key 'description' holds text that UTF-8 cannot write",
    ),
    "half a character in a test": (
        json.dumps(mbpp(3)).replace("0\\n", "\\udfff").encode(),
        "a test's input is no Unicode text: character 0 is half of a surrogate pair ('\\udfff')",
    ),
    "a list": (b"[1]", "not a JSON object"),
    "nested beyond reason": (b"[" * 100_000, "not JSON, or half a row"),
    "no tests": (mbpp(3, tests=[]), "no tests"),
    "a list as output": (
        mbpp(3, tests=[{"input": "1", "output": ["2"]}]),
        "a test's output must be a string, not a list",
    ),
    "null as input": (mbpp(3, tests=[{"input": None, "output": "2"}]), "a test's input must be a string, not null"),
    "true as output": (
        mbpp(3, tests=[{"input": "", "output": True}]),
        "a test's output must be a string, not a boolean",
    ),
    "tests of null": (mbpp(3, tests=None), "no tests"),
    "no key tests": ({"original_task_id": 3, "description": "d"}, "no tests"),
    "tests that are a number": (mbpp(3, tests=3), "key 'tests' must be a list, not a number"),
    "tests that are half JSON": (mbpp(3, tests='[{"input'), "key 'tests' is neither a list nor JSON text of one"),
    "half a test": (mbpp(3, tests=[{"input": "1"}]), "a test must be an object with the keys input, output"),
    "numbers in a test": (
        mbpp(3, tests=[{"input": 1, "output": "2"}]),
        "a test's input must be a string, not a number",
    ),
    "columns of unlike length": (
        mbpp(3, tests={"input": ["1"], "output": []}),
        "key 'tests' must be a list, or an object with as many inputs as outputs",
    ),
    "no statement": (mbpp(3, description=""), "key 'statement' is missing or empty"),
    "a number as statement": (mbpp(3, description=5), "key 'description' must be a string, not int"),
    "an id twice": (mbpp(1), "the id appears twice"),
    "an id that is true": (mbpp(3, original_task_id=True), "original_task_id is no number from 1 to 974"),
    "an id that is none": (mbpp(3, original_task_id="x"), "original_task_id is no number from 1 to 974"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_row_is_counted_and_costs_no_other(case: str, tmp_path: Path) -> None:
    row, reason = BAD[case]
    path = write_lines(tmp_path / "p.jsonl", [mbpp(1), row, mbpp(2), b"", mbpp(601)])
    problems, tally = loaded(config("mbpp_x", path=path), "train")
    assert [problem.id for problem in problems] == IDS
    assert tally.dropped == {reason: ["p.jsonl, line 2"]}
    assert tally.sentences() == [f"1 dropped: {reason} (p.jsonl, line 2)"]


def test_what_was_dropped_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_lines(tmp_path / "p.jsonl", [mbpp(1), *[mbpp(n, tests=[]) for n in range(2, 9)]])
    assert len(load(config("mbpp_x", path=path), "train")) == 1
    said = capsys.readouterr().err
    assert "dataset.train=train: 7 dropped: no tests (p.jsonl, line 2; " in said
    assert "line 6 and 2 more)" in said


def test_a_test_of_100_mb_is_kept_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    large = "7" * (100 << 20)
    path = write_lines(tmp_path / "p.jsonl", [mbpp(1), mbpp(2, tests=[{"input": large, "output": "1"}]), mbpp(3)])
    problems = load(config("mbpp_x", path=path), "train")
    assert [len(problem.tests[0].input) for problem in problems] == [2, len(large) + 1, 2]
    assert "1 test inputs above 10 MiB, the largest has 100.0 MiB" in capsys.readouterr().err


FATAL: dict[str, tuple[dict[str, Any], str]] = {
    "no such folder": ({"path": "/nowhere"}, "dataset.path: there is no file or folder /nowhere"),
    "a folder without the split": ({"path": "."}, r"dataset.path: \. has no file train \(or train-00000"),
    "an unknown format": ({"path": str(ROOT / "Makefile")}, "must be of one format of .jsonl, .json, .parquet, .csv"),
    "no source": ({"source": None}, "dataset=mbpp_x needs dataset.source=NAME on the hub, or dataset.path="),
    "an unknown split": ({"train": "dev"}, "mbpp_x has no split 'dev'; the splits are train, test, validation"),
    "an unknown loader": ({"loader": "mbpp"}, "dataset.loader is 'mbpp'; the loaders are mbpp_x, codeforces_x"),
    "nothing for the split": ({"train": None}, "dataset=mbpp_x has nothing for train: set dataset.train=FILE.jsonl"),
}


@pytest.mark.parametrize("case", FATAL)
def test_a_source_that_cannot_be_read_is_one_sentence(case: str) -> None:
    keys, message = FATAL[case]
    with pytest.raises(UserError, match=message) as caught:
        load(config("mbpp_x", **keys), "train")
    assert "\n" not in str(caught.value)


def test_a_spoilt_parquet_file_is_one_sentence(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "train.parquet", ROWS)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"cannot be read \(.*dataset.path=FOLDER reads a local copy") as caught:
        load(config("mbpp_x", path=path, streaming=True), "train")
    assert "\n" not in str(caught.value)


def test_rows_that_are_all_bad_are_fatal(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "p.jsonl", [mbpp(1, tests=[])])
    with pytest.raises(DataError, match=r"dataset.train=train holds no problem"):
        load(config("mbpp_x", path=path), "train")


def test_no_hub_is_one_sentence() -> None:
    """In a process of its own: the library reads HF_HUB_OFFLINE when it is imported."""
    program = (
        "from problems.load import load\nfrom problems.problem import DataError\n"
        "from tests.problems.source_rows import config\n"
        "try:\n    load(config('mbpp_x'), 'train')\nexcept DataError as error:\n    print(error)\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=120)
    assert done.stdout.startswith("nuprl/mbpp-agnostic-translation cannot be read (")
    assert done.stdout.endswith("dataset.path=FOLDER reads a local copy\n")
    assert done.stdout.count("\n") == 1 and "Traceback" not in done.stderr


def test_a_jsonl_file_stands_in_for_a_split(tmp_path: Path) -> None:
    own = write_lines(tmp_path / "own.jsonl", [{"id": "a", "statement": "s", "tests": [{"input": "", "output": ""}]}])
    assert [p.id for p in load(config("mbpp_x", path=own, heldout=own), "heldout")] == ["a"]

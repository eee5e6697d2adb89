"""JSONL: marks, line ends, lines that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base import jsonl
from base.errors import DataError

MARK = "\ufeff".encode()


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "x.jsonl"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("data", [MARK + b'{"a": 1}', MARK + b'{"a": 1}\r\n', b'\n{"a": 1}\n\n', MARK + b'\n{"a": 1}'])
def test_a_file_of_one_row(data: bytes, tmp_path: Path) -> None:
    assert [value for _, value in jsonl.read(write(tmp_path, data))] == [{"a": 1}]


def test_files_with_marks_that_were_joined(tmp_path: Path) -> None:
    path = write(tmp_path, MARK + b"1\n2\n" + MARK + b"3\n")
    assert list(jsonl.read(path)) == [(f"{path}, line {n}", n) for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"\xff", "not UTF-8"),
        (b'{"a', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'[{"a": {"b": 1, "c": 2, "b": 1}}]', "not JSON.*an object has the key 'b' twice"),
    ],
)
def test_a_line_that_is_none_is_named(line: bytes, why: str, tmp_path: Path) -> None:
    path = write(tmp_path, b"1\n" + line + b"\n3\n")
    with pytest.raises(DataError, match=f"line 2: {why}"):
        list(jsonl.read(path))
    assert [isinstance(value, jsonl.BadLine) for _, value in jsonl.lines(path)] == [False, True, False]


def test_no_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*none"):
        list(jsonl.read(tmp_path / "none"))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.integers() | st.none()))
def test_a_value_is_one_line_for_every_reader(value: object) -> None:
    line = jsonl.encoded(value)
    assert len(line.splitlines()) == 1
    assert json.loads(line) == value

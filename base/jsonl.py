"""JSONL as people bring it: one JSON value per line, in UTF-8.

A line ends at a line feed and at nothing else (U+2028 and its like are characters of a string); blank lines are
skipped; a byte-order mark at the beginning of a line, where files were joined, is no data. A key that an object has
twice is an error: of two lists of tests one would be lost. A line that cannot be read is yielded as a `BadLine`, so
that each reader can choose between refusing the file and counting the row.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.errors import DataError, RunError

MARK = b"\xef\xbb\xbf"
SEPARATORS = re.compile("[\x85\u2028\u2029]")  # line ends to other readers, such as str.splitlines


@dataclass(frozen=True)
class BadLine:
    """A line that holds no JSON. `reason` is the same words for all lines of a kind."""

    reason: str
    detail: str = ""


def read(path: Path) -> Iterator[tuple[str, Any]]:
    """(where, value) of each line that is not blank; where names the file and the line.

    Raises DataError at a line that is no JSON; DataError, too, where there is no such file.
    """
    for number, value in lines(path):
        where = f"{path}, line {number}"
        if isinstance(value, BadLine):
            raise DataError(f"{where}: {value.reason}" + (f" ({value.detail})" if value.detail else ""))
        yield where, value


def lines(path: Path) -> Iterator[tuple[int, Any]]:
    """(number from 1, value or BadLine) of each line that is not blank. Raises DataError where there is no file."""
    try:
        file = open(path, "rb")  # noqa: SIM115 (closed below; only opening is in the try)
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror})") from error
    with file:
        for number, line in enumerate(file, start=1):
            line = without_mark(line)
            if line.strip():
                yield number, decoded(line)


def without_mark(line: bytes) -> bytes:
    while line.startswith(MARK):
        line = line[len(MARK) :]
    return line


def decoded(line: bytes) -> Any:
    """The JSON value of a line, or a BadLine."""
    try:
        return parsed(without_mark(line).decode())
    except UnicodeDecodeError as error:
        return BadLine("not UTF-8", f"byte {error.start}")
    except RecursionError:
        return BadLine("not JSON, or half a row", "nested too deeply")
    except ValueError as error:
        return BadLine("not JSON, or half a row", str(error))


def parsed(text: str) -> Any:
    """The value of JSON text, in which no object has a key twice. Raises ValueError, RecursionError."""
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"an object has the key {twice!r} twice")
    return found


def encoded(value: Any) -> str:
    """`value` as one line, without its line feed. No reader can take a character in it for a line end."""
    text = json.dumps(value, ensure_ascii=False)
    return SEPARATORS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class RowLog:
    """An append-only JSONL file. Several processes may share it: a row is one line, appended by one write.

    A kill or a full disk may leave part of a line; it is passed over, and the next row starts on a line of its own.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file, made with its folder if it is new. Raises RunError."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise self._unwritable(error.strerror) from error

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """(offset of the line in bytes, row) of every whole row."""
        offset = 0
        with open(self.path, "rb") as lines:
            for line in lines:
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):
                    row = None  # cut off
                if isinstance(row, dict):
                    yield offset, row
                offset += len(line)

    def at(self, offset: int) -> dict[str, Any]:
        """The row whose line starts at `offset`."""
        with open(self.path, "rb") as lines:
            lines.seek(offset)
            row: dict[str, Any] = json.loads(lines.readline())
            return row

    def add(self, row: dict[str, Any]) -> int:
        """Appends a row and returns its line's offset. Raises RunError."""
        line = json.dumps(row).encode() + b"\n"  # ASCII: half a character can be kept too
        if self._half():
            line = b"\n" + line
        try:
            if os.write(self._file, line) < len(line):
                raise self._unwritable("the disk is full")
        except OSError as error:
            raise self._unwritable(error.strerror) from error
        return os.lseek(self._file, 0, os.SEEK_CUR) - len(line.lstrip(b"\n"))

    def _half(self) -> bool:
        """Whether the file ends in the middle of a line."""
        size = os.fstat(self._file).st_size
        return size > 0 and os.pread(self._file, 1, size - 1) != b"\n"

    def _unwritable(self, why: str | None) -> RunError:
        return RunError(f"cannot write {self.path} ({why})")

    def close(self) -> None:
        os.close(self._file)

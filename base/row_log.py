"""Rows that are kept as they come, one JSON object per line: whatever ends a program, what it has kept is there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from base.errors import RunError


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

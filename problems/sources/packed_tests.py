"""Tests packed as LiveCodeBench packs them: base64 ( zlib ( pickle ( JSON text ) ) ) of a list of {input, output}.

Nothing is ever unpickled. A pickle is a program, and the full unpickler runs it; one that holds a single string needs
four kinds of instruction, and `one_string` reads those and refuses every other. All sizes are bounded before memory is
spent: zlib can blow one megabyte up to a gigabyte.

Only the standard library is imported, because packed tests travel to the sandbox's workers as they are (the tests of
all 499 problems are about 8 GB when unpacked) and are unpacked there, one problem at a time.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, overload

from base.text import plain, program_input
from sandbox.job import Test

MAX_BYTES = 1 << 30  # unpacked; the 499 problems average 16 MB


class PackedError(ValueError):
    """Packed tests that cannot be read. The message is a reason, the same words whatever the row."""


class PackedTests(Sequence[Test]):
    """A tuple of tests that stays packed in memory. Equal and hashed by what is packed, so that a pool can compare."""

    def __init__(self, packed: str):
        """Unpacks once to check and to count. Raises PackedError."""
        self.packed = packed
        self.size = len(unpack(packed))

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Test]:
        return iter(unpack(self.packed))

    @overload
    def __getitem__(self, index: int) -> Test: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Test, ...]: ...
    def __getitem__(self, index: int | slice) -> Test | tuple[Test, ...]:
        if isinstance(index, slice) and not range(self.size)[index]:
            return ()  # a prompt that shows no example unpacks nothing
        return unpack(self.packed)[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PackedTests) and self.packed == other.packed

    def __hash__(self) -> int:
        return hash(self.packed)


@lru_cache(maxsize=1)  # all samples of a problem come one after the other
def unpack(packed: str) -> tuple[Test, ...]:
    """The tests, at least one. Raises PackedError."""
    try:
        squeezed = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PackedError("the packed tests are not base64") from error
    text = one_string(inflate(squeezed))
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PackedError("the packed tests are not JSON") from error
    if not isinstance(rows, list) or not rows:
        raise PackedError("the packed tests are no list, or an empty one")
    return tuple(_test(row) for row in rows)


def _test(row: Any) -> Test:
    if not isinstance(row, dict) or not isinstance(row.get("input"), str) or not isinstance(row.get("output"), str):
        raise PackedError("a packed test is no object with the strings input and output")
    if row.get("testtype", "stdin") != "stdin":
        raise PackedError("a packed test calls a function, it reads no standard input")
    for text in (row["input"], row["output"]):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise PackedError("a packed test holds text that UTF-8 cannot write") from error
    return Test(program_input(row["input"]), plain(row["output"]))


def inflate(data: bytes, most: int = MAX_BYTES) -> bytes:
    """Decompresses one zlib stream of at most `most` bytes. Raises PackedError."""
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(data, most + 1)
    except zlib.error as error:
        raise PackedError("the packed tests are not a zlib stream") from error
    if len(found) > most:
        raise PackedError(f"the packed tests unpack to more than {most >> 20} MiB")
    if not stream.eof:
        raise PackedError("the packed tests are cut short")
    if stream.unused_data:
        raise PackedError("something follows the packed tests")
    return found


# The instructions that pickle writes for one str, in protocols 0 to 5 (names and layout: the module pickletools).
PROTO, FRAME, STOP = 0x80, 0x95, ord(".")
# SHORT_BINUNICODE, BINUNICODE, BINUNICODE8 -> bytes of the length in front of the text
SIZED = {0x8C: 1, ord("X"): 4, 0x8D: 8}
UNICODE = ord("V")  # protocol 0: a line of raw-unicode-escape
MEMO = {0x94: 0, ord("q"): 1, ord("r"): 4}  # MEMOIZE, BINPUT, LONG_BINPUT: bytes of the argument
PUT = ord("p")  # protocol 0: a line
MAX_STEPS = 8  # the longest real one has six instructions


def one_string(data: bytes) -> str:
    """The string that `data` is a pickle of. Raises PackedError for everything else: this reads, it runs nothing."""
    text: str | None = None
    at = 0
    for _ in range(MAX_STEPS):
        code, at = _number(data, at, 1)
        if code == PROTO:
            version, at = _number(data, at, 1)
            if version > 5:
                break
        elif code == FRAME:
            _, at = _number(data, at, 8)  # only a hint for buffering
        elif code in SIZED and text is None:
            size, at = _number(data, at, SIZED[code])
            raw, at = _bytes(data, at, size)
            text = _decoded(raw, "utf-8")
        elif code == UNICODE and text is None:
            raw, at = _line(data, at)
            text = _decoded(raw, "raw-unicode-escape")
        elif code in MEMO and text is not None:
            _, at = _number(data, at, MEMO[code])
        elif code == PUT and text is not None:
            _, at = _line(data, at)
        elif code == STOP and text is not None and at == len(data):
            return text
        else:
            break
    raise PackedError("the packed tests are a pickle of something else than one string")


def _bytes(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    if size > len(data) - at:
        raise PackedError("the packed tests are a pickle that is cut short")
    return data[at : at + size], at + size


def _number(data: bytes, at: int, size: int) -> tuple[int, int]:
    raw, at = _bytes(data, at, size)
    return int.from_bytes(raw, "little"), at


def _line(data: bytes, at: int) -> tuple[bytes, int]:
    end = data.find(b"\n", at)
    if end < 0:
        raise PackedError("the packed tests are a pickle that is cut short")
    return data[at:end], end + 1


def _decoded(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise PackedError("the packed tests are a pickle of text that is not UTF-8") from error

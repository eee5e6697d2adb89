"""Packed tests: what pickle writes for one string is read without unpickling, everything else is refused."""

from __future__ import annotations

import base64
import json
import os
import pickle
import random
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import languages
from base.text import plain, program_input
from problems.sources.packed_tests import PackedError, PackedTests, inflate, one_string, unpack
from sandbox.job import Job, Status, Test
from sandbox.pool import Pool, toolchain
from tests.problems.packing import pack, wrapped

characters = st.characters(exclude_categories=["Cs"])
texts = st.text(characters)
protocols = st.integers(0, pickle.HIGHEST_PROTOCOL)


@given(texts, protocols)
@example("a" * 255, 4)
@example("a" * 256, 4)
@example("a" * 70_000, 4)  # beyond a frame
@example("\n\\u0041\r\x1a\0", 0)
def test_what_pickle_writes_for_a_string_is_read(text: str, protocol: int) -> None:
    assert one_string(pickle.dumps(text, protocol)) == text


def test_the_pure_python_pickler_writes_the_same() -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for text in ("", "é\n", "x" * 300, "x" * 100_000):
            assert one_string(pickle._dumps(text, protocol)) == text  # type: ignore[attr-defined]


def test_a_length_of_eight_bytes_is_read() -> None:
    assert one_string(b"\x80\x04\x8d" + struct.pack("<Q", 3) + b"abc\x94.") == "abc"


@given(st.binary(max_size=64))
@example(b"")
@example(b".")
def test_bytes_of_any_kind_are_read_or_refused(data: bytes) -> None:
    try:
        text = one_string(data)
    except PackedError:
        return
    assert pickle.loads(data) == text  # harmless: the only ones that get here hold one string


@given(texts, protocols, st.integers(0, 400), st.integers(0, 255))
def test_a_damaged_pickle_is_read_or_refused(text: str, protocol: int, at: int, byte: int) -> None:
    data = bytearray(pickle.dumps(text, protocol))
    data[at % len(data)] = byte
    try:
        found = one_string(bytes(data))
    except PackedError:
        return
    try:
        theirs = pickle.loads(bytes(data))
    except (pickle.UnpicklingError, ValueError, OverflowError):
        pass  # the damage is in a frame's length or a memo's name, which reading one string does not need
    else:
        assert theirs == found


class Runs:
    """Unpickling it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_runs_something_is_refused(protocol: int, tmp_path: Path) -> None:
    mark = tmp_path / "made"
    hostile = pickle.dumps(Runs(mark), protocol)
    with pytest.raises(PackedError, match="something else than one string"):
        unpack(wrapped(hostile))
    assert not mark.exists()
    pickle.loads(hostile)  # it does work
    assert mark.exists()


STRING = b"X\x03\0\0\0abc"
HOSTILE = {
    "a global, then a string": b"cos\nsystem\n" + STRING + b".",
    "a string, then a global": STRING + b"cos\nsystem\n.",
    "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    "an instance": b"(" + STRING + b"ios\nsystem\n.",
    "a call": STRING + b"R.",
    "BUILD": STRING + b"b.",
    "a persistent id": b"Pmodule\n.",
    "an extension": b"\x82\x01.",
    "a list": pickle.dumps(["a"]),
    "bytes": pickle.dumps(b"a"),
    "a number": pickle.dumps(7),
    "None": pickle.dumps(None),
    "two strings": pickle.dumps("a")[:-1] + STRING + b".",
    "memo read back": STRING + b"q\0h\0.",
    "a second pickle after the first": pickle.dumps("a") + pickle.dumps("b"),
    "no STOP": pickle.dumps("a")[:-1],
    "a length beyond the end": b"X\xff\xff\xff\x7fabc.",
    "a length of 2^64 - 1": b"\x8d" + b"\xff" * 8 + b"abc.",
    "a line without end": b"Vabc.",
    "protocol 6": b"\x80\x06" + STRING + b".",
    "protocols without end": b"\x80\x04" * 1000 + STRING + b".",
    "memos without end": STRING + b"\x94" * 1000 + b".",
    "bytes that are not UTF-8": b"X\x02\0\0\0\xff\xfe.",
    "a bad escape": b"V\\uZZZZ\n.",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_everything_else_is_refused(case: str) -> None:
    with pytest.raises(PackedError):
        one_string(HOSTILE[case])


def test_a_bomb_costs_no_more_than_its_bound() -> None:
    bomb = zlib.compress(bytes(50 << 20), 9)
    assert len(bomb) < 60_000
    with pytest.raises(PackedError, match="more than 1 MiB"):
        inflate(bomb, 1 << 20)
    assert len(inflate(bomb, 50 << 20)) == 50 << 20


GOOD = json.dumps([{"input": "1\n", "output": "2\n"}])
BAD = {
    "not base64": ("?", "not base64"),
    "base64 with characters beside": ("QUJD\n*", "not base64"),
    "letters beyond ASCII": ("é", "not base64"),
    "not zlib": (base64.b64encode(b"abc").decode(), "no zlib|not a zlib stream"),
    "cut short": (base64.b64encode(zlib.compress(pickle.dumps(GOOD))[:-5]).decode(), "cut short"),
    "followed by more": (base64.b64encode(zlib.compress(pickle.dumps(GOOD)) + b"x").decode(), "something follows"),
    "not JSON": (pack("{"), "not JSON"),
    "JSON too deep": (pack("[" * 100_000), "not JSON"),
    "no list": (pack("{}"), "no list"),
    "no tests": (pack("[]"), "empty"),
    "a test without output": (pack('[{"input": ""}]'), "strings input and output"),
    "a number": (pack('[{"input": 1, "output": ""}]'), "strings input and output"),
    "a function's test": (pack('[{"input": "", "output": "", "testtype": "functional"}]'), "calls a function"),
    "half a character": (pack('[{"input": "\\ud800", "output": ""}]'), "UTF-8"),
}


@pytest.mark.parametrize("case", BAD)
def test_tests_that_cannot_be_read_are_refused(case: str) -> None:
    packed, message = BAD[case]
    with pytest.raises(PackedError, match=message):
        PackedTests(packed)


@given(st.lists(st.builds(Test, texts, texts), min_size=1, max_size=5))
def test_packed_tests_are_the_tests(tests: list[Test]) -> None:
    packed = PackedTests(pack(json.dumps([test._asdict() for test in tests])))
    tests = [Test(program_input(test.input), plain(test.output)) for test in tests]
    assert tuple(packed) == tuple(tests)
    assert len(packed) == len(tests)
    assert packed[0] == tests[0] and packed[-1] == tests[-1]
    assert packed[:1] == tuple(tests[:1]) and packed[:0] == ()
    assert hash(packed) == hash(PackedTests(packed.packed)) and packed == PackedTests(packed.packed)


def test_packed_tests_travel_to_the_jail_as_they_are() -> None:
    noise = "".join(random.Random(0).choices("abcdefgh", k=1000))
    tests = PackedTests(pack(json.dumps([{"input": f"{n} {noise * 500}", "output": str(2 * n)} for n in range(20)])))
    assert len(pickle.dumps(tests)) < 200_000 < sum(len(test.input) for test in tests)

    double = 'print(2 * io.read("*n"))'
    with Pool([toolchain(languages.load("lua"))], workers=1) as pool:
        jobs = [Job("right", "lua", double, tests), Job("wrong", "lua", "print(2)", tests)]
        verdicts = [pool.submit(job).result(timeout=60) for job in jobs]
    assert [verdict.status for verdict in verdicts] == [Status.PASSED, Status.WRONG_OUTPUT]
    assert len(verdicts[0].tests) == 20

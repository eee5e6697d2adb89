"""The driver's messages: whatever arrives, at either end, there is a verdict of the right program or none."""

from __future__ import annotations

import os
import select
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.driver import binaries
from sandbox.jail import HEAD, JOB, LAST_TEST, MAGIC, RESULT, STOP, TEST, Jail, JailBroken, Toolchain

FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def toolchain(shell: Toolchain) -> Toolchain:
    return replace(shell, limits=replace(shell.limits, test_s=1, wall_s=1))


@contextmanager
def started(toolchain: Toolchain) -> Iterator[Jail]:
    jail = Jail(toolchain, 9, None, binaries.find())
    try:
        yield jail
    finally:
        jail.close()


def answer(jail: Jail, message: bytes) -> bytes:
    """All that the driver says before it hangs up, after `message` and the end of its input."""
    os.set_blocking(jail._to_driver, True)
    with suppress(BrokenPipeError):
        os.write(jail._to_driver, message)
    jail._process.stdin.close()  # type: ignore[union-attr]
    said, end = b"", time.monotonic() + 10
    while select.select([jail._from_driver], [], [], max(0, end - time.monotonic()))[0]:
        if not (piece := os.read(jail._from_driver, 1 << 16)):
            return said
        said += piece
    raise AssertionError("the driver neither answers nor hangs up")


@FEW
@given(message=st.binary(min_size=1, max_size=200))
def test_noise_ends_the_driver_without_an_answer(toolchain: Toolchain, message: bytes) -> None:
    with started(toolchain) as jail:
        assert answer(jail, message) == b""


@FEW
@given(
    kind=st.sampled_from([0, JOB, TEST, LAST_TEST, STOP, 9]),
    length=st.sampled_from([0, 1, 39, 40, 44, 200, 1 << 30, (1 << 32) - 1]),
    body=st.binary(max_size=200),
)
def test_half_a_job_ends_the_driver_without_an_answer(
    toolchain: Toolchain, kind: int, length: int, body: bytes
) -> None:
    with started(toolchain) as jail:
        assert answer(jail, HEAD.pack(kind, length) + body) == b""


@FEW
@given(lengths=st.lists(st.integers(0, (1 << 32) - 1), min_size=1, max_size=6))
def test_lengths_that_lie_are_not_followed(toolchain: Toolchain, lengths: list[int]) -> None:
    with started(toolchain) as jail:
        body = jail._limits(toolchain.limits) + b"".join(struct.pack("<I", n) + b"x" * min(n, 9) for n in lengths)
        said = answer(jail, HEAD.pack(JOB, len(body)) + body)
        assert said == b""


def test_file_names_stay_in_the_programs_folder(toolchain: Toolchain) -> None:
    with started(replace(toolchain, filename="../../etc/x")) as jail, pytest.raises(JailBroken, match="etc/x"):
        list(jail.run("true", [""], toolchain.limits))


def test_a_message_cut_short_is_a_broken_jail(toolchain: Toolchain) -> None:
    with started(toolchain) as jail:
        jail._process.kill()
        jail._process.wait()
        with pytest.raises(JailBroken):
            list(jail.run("true", [""], toolchain.limits))


class Fed(Jail):
    """The host's end, reading from a pipe of ours."""

    def __init__(self, said: bytes):
        self._from_driver, to = os.pipe()
        os.write(to, said)
        os.close(to)
        self._unread = bytearray()
        self._reading = select.poll()
        self._reading.register(self._from_driver, select.POLLIN)
        self._process = subprocess.Popen(["true"])
        self._log = tempfile.TemporaryFile()  # noqa: SIM115

    def close(self) -> None:
        os.close(self._from_driver)
        self._process.wait()
        self._log.close()


@FEW
@given(noise=st.binary(max_size=300))
def test_noise_from_the_driver_is_never_a_result(noise: bytes) -> None:
    fed = Fed(noise)
    try:
        with pytest.raises(JailBroken):
            fed._receive(time.monotonic() + 5)
    finally:
        fed.close()


@FEW
@given(stdout=st.binary(max_size=100), stderr=st.binary(max_size=100), cut=st.integers(-400, 50))
def test_a_result_is_read_whole_or_not_at_all(stdout: bytes, stderr: bytes, cut: int) -> None:
    message = RESULT.pack(MAGIC, 0, 3, len(stdout), len(stderr), 1, 2, 3) + stdout + stderr
    fed = Fed(message[:cut] if cut < 0 else message + b"x" * cut)  # what follows belongs to the next result
    try:
        if cut >= 0:
            assert fed._receive(time.monotonic() + 5)[1:] == (stdout, stderr)
            assert fed._unread == b"x" * cut
        else:
            with pytest.raises(JailBroken):
                fed._receive(time.monotonic() + 5)
    finally:
        fed.close()

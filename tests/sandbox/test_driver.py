"""The driver's messages: whatever arrives, at either end, there is a verdict of the right program or none."""

from __future__ import annotations

import os
import select
import signal
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.driver import binaries
from sandbox.driver.binaries import Binaries
from sandbox.driver.messages import HEAD, JOB, LAST_TEST, LIMITS, MAGIC, RESULT, STOP, TEST, JailBroken, Link, message
from sandbox.jail import Jail, Toolchain

FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def toolchain(shell: Toolchain, namespaces: Binaries) -> Toolchain:
    return replace(shell, limits=replace(shell.limits, test_s=1, wall_s=1))


@contextmanager
def started(toolchain: Toolchain) -> Iterator[Jail]:
    jail = Jail(toolchain, 9, None, binaries.find())
    try:
        yield jail
    finally:
        jail.close()


def answer(jail: Jail, sent: bytes) -> bytes:
    """All that the driver says before it hangs up, after `sent` and the end of its input."""
    end = time.monotonic() + 10
    with suppress(BrokenPipeError):
        jail.link.send(sent, end)
    jail.link.hang_up()
    said, pipe = b"", jail.link.from_driver
    while select.select([pipe], [], [], max(0, end - time.monotonic()))[0]:
        if not (piece := pipe.read(1 << 16)):
            return said
        said += piece
    raise AssertionError("the driver neither answers nor hangs up")


@FEW
@given(noise=st.binary(min_size=1, max_size=200))
def test_noise_ends_the_driver_without_an_answer(toolchain: Toolchain, noise: bytes) -> None:
    with started(toolchain) as jail:
        assert answer(jail, noise) == b""


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
        body = LIMITS.pack(*[1000] * 12) + b"".join(struct.pack("<I", n) + b"x" * min(n, 9) for n in lengths)
        assert answer(jail, message(JOB, body)) == b""


def test_file_names_stay_in_the_programs_folder(toolchain: Toolchain) -> None:
    with started(replace(toolchain, filename="../../etc/x")) as jail, pytest.raises(JailBroken, match="etc/x"):
        list(jail.run("true", [""], toolchain.limits))


def test_a_message_cut_short_is_a_broken_jail(toolchain: Toolchain) -> None:
    with started(toolchain) as jail:
        os.kill(jail.pid, signal.SIGKILL)
        os.waitid(os.P_PID, jail.pid, os.WEXITED | os.WNOWAIT)
        assert select.select([jail.link.from_driver], [], [], 10)[0]  # until then the init may still answer
        with pytest.raises(JailBroken):
            list(jail.run("true", [""], toolchain.limits))


@contextmanager
def fed(said: bytes) -> Iterator[Link]:
    """The host's end of a driver that has said this and hung up."""
    (unheard, to_driver), (from_driver, ours) = os.pipe(), os.pipe()
    os.write(ours, said)
    os.close(ours)
    with open(to_driver, "wb", 0) as to, open(from_driver, "rb", 0) as back:
        yield Link(to, back)
    os.close(unheard)


@FEW
@given(noise=st.binary(max_size=300))
def test_noise_from_the_driver_is_never_a_result(noise: bytes) -> None:
    with fed(noise) as link, pytest.raises((EOFError, JailBroken)):
        link.receive(time.monotonic() + 5)


@FEW
@given(stdout=st.binary(max_size=100), stderr=st.binary(max_size=100), cut=st.integers(-400, 50))
def test_a_result_is_read_whole_or_not_at_all(stdout: bytes, stderr: bytes, cut: int) -> None:
    result = RESULT.pack(MAGIC, 0, 3, len(stdout), len(stderr), 1, 2, 3) + stdout + stderr
    with fed(result[:cut] if cut < 0 else result + b"x" * cut) as link:  # what follows belongs to the next result
        if cut >= 0:
            found = link.receive(time.monotonic() + 5)
            assert (found.outcome, found.code, found.stdout, found.stderr) == (0, 3, stdout, stderr)
            assert link.unread == b"x" * cut
        else:
            with pytest.raises(EOFError):
                link.receive(time.monotonic() + 5)

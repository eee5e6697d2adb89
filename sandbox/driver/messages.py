"""The messages between a jail and its driver, little-endian, and the pipes that they go through.

The head of driver.c has their order. What arrives is a result as a whole or no result at all.
"""

from __future__ import annotations

import math
import os
import select
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import IO, NamedTuple

from base.limits import PATIENCE, Limits
from sandbox.job import Status

MAGIC = 0x4A414752
JOB, TEST, LAST_TEST, STOP, RUNTIME = 1, 2, 3, 4, 5  # kinds of messages to the driver
LONGEST_WAIT_S = 2_000_000  # what poll() can take: 23 days
EXITED, SIGNALED, TIMEOUT, OUTPUT_LIMIT, EXEC_FAILED = range(5)
CPU, WALL, PROGRAM = 1, 2, 3  # the code of a TIMEOUT: which deadline was met
HEAD = struct.Struct("<II")  # kind, length
LIMITS = struct.Struct("<12I")
RESULT = struct.Struct("<IIiIIIQQ")


class JailBroken(Exception):
    """nsjail, the driver or the init inside died or fell silent: start a new jail and try again."""


class Run(NamedTuple):
    """One command's outcome as the driver saw it, and what it says of the program."""

    outcome: int  # EXITED, SIGNALED, ...
    code: int  # exit code, signal, errno, or which deadline
    stdout: bytes
    stderr: bytes  # the first 16 KiB
    wall_s: float
    cpu_s: float
    memory_mb: float
    out_of_memory: bool = False  # the driver does not know: the jail says so

    @property
    def returned_0(self) -> bool:
        return self.outcome == EXITED and self.code == 0

    @property
    def status(self) -> Status | None:
        """None: it ran to its end and returned 0, so the output decides."""
        if self.outcome == OUTPUT_LIMIT:
            return Status.OUTPUT_LIMIT
        if self.out_of_memory:
            return Status.MEMORY_LIMIT
        if self.outcome == TIMEOUT:
            return Status.TIMEOUT
        return None if self.returned_0 else Status.RUNTIME_ERROR


def message(kind: int, body: bytes = b"") -> bytes:
    return HEAD.pack(kind, len(body)) + body


class Commands(NamedTuple):
    """What a language's programs are compiled and run by, argv and environment as the driver takes them."""

    compile: bytes
    execute: bytes
    environment: bytes

    @classmethod
    def of(cls, compile: Sequence[str], execute: Sequence[str], environment: Sequence[str]) -> Commands:
        """`compile` and `execute` are argv, `environment` lines KEY=value."""
        return cls(_strings(compile), _strings(execute), _strings(environment))


def runtime(commands: Commands) -> bytes:
    """Has the driver keep a runtime, of which tests begin as copies."""
    return message(RUNTIME, _blobs([commands.execute, commands.environment]))


def job(
    filename: str,
    program: str,
    commands: Commands,
    limits: Limits,
    in_total: bool = False,
    ahead: Iterable[bytes] = (),
    files: Mapping[str, bytes] | None = None,
) -> bytes:
    """A program to be judged.

    `in_total`: a memory cgroup bounds the program; without it each of its processes is bounded. `ahead`: the tests'
    inputs, where they are not to be sent one by one. `files` lie beside the program.
    """
    blobs = [filename.encode(), program.encode(errors="replace"), *commands, _blobs(ahead)]
    for name, content in (files or {}).items():
        blobs += [name.encode(), content]
    return message(JOB, _limits(limits, in_total) + _blobs(blobs))


@lru_cache  # mostly the language's own
def _limits(limits: Limits, in_total: bool) -> bytes:
    return LIMITS.pack(
        _ms(limits.compile_s),
        _ms(limits.compile_wall_s),
        _ms(limits.test_s),
        _ms(limits.test_wall_s),
        PATIENCE,
        _ms(limits.program_s or math.inf),
        0 if in_total else limits.memory_mb,
        limits.processes,
        limits.file_mb,
        # files on a tmpfs are memory that killing no process gives back: leave room for the program
        limits.room_mb if in_total else limits.disk_mb,
        limits.inodes,
        min(round(limits.output_mb * 1024 * 1024), 0xFFFFFFFF),  # beyond 4 GiB nobody waits for the difference
    )


def _ms(seconds: float) -> int:
    return max(1, round(min(seconds * 1000, 0xFFFFFFFF)))


def _blobs(parts: Iterable[bytes]) -> bytes:
    return b"".join(piece for part in parts for piece in (len(part).to_bytes(4, "little"), part))


def _strings(words: Sequence[str]) -> bytes:
    return b"".join(word.encode() + b"\0" for word in words)


class Link:
    """The host's ends of the two pipes to a driver."""

    def __init__(self, to_driver: IO[bytes], from_driver: IO[bytes]):
        self.to_driver, self.from_driver = to_driver, from_driver
        self.unread = bytearray()  # of the driver's results
        os.set_blocking(to_driver.fileno(), False)
        self._reading, self._writing = select.poll(), select.poll()
        self._reading.register(from_driver, select.POLLIN)
        self._writing.register(to_driver, select.POLLOUT)

    def watch(self, fd: int) -> None:
        """From now on a hang-up of `fd` ends any wait with JailBroken: the pool has gone."""
        self._reading.register(fd, 0)
        self._writing.register(fd, 0)

    def send(self, message: bytes, deadline: float) -> None:
        """Raises OSError where the driver does not listen, JailBroken after the deadline (time.monotonic)."""
        view = memoryview(message)
        while view:
            try:
                view = view[os.write(self.to_driver.fileno(), view) :]
            except BlockingIOError:
                self._wait(self._writing, self.to_driver, deadline)

    def receive(self, deadline: float) -> Run:
        """Raises EOFError where the driver has gone, JailBroken after the deadline or if this is no result."""
        self._read(RESULT.size, deadline)
        magic, outcome, code, out, err, memory_kb, wall_us, cpu_us = RESULT.unpack_from(self.unread)
        if magic != MAGIC:
            raise JailBroken("the driver's answer is no message")
        middle, end = RESULT.size + out, RESULT.size + out + err
        self._read(end, deadline)
        stdout, stderr = bytes(self.unread[RESULT.size : middle]), bytes(self.unread[middle:end])
        del self.unread[:end]
        return Run(outcome, code, stdout, stderr, wall_us / 1e6, cpu_us / 1e6, memory_kb / 1024)

    def _read(self, least: int, deadline: float) -> None:
        """Waits until `least` bytes are in `unread`; there may be more."""
        while len(self.unread) < least:
            self._wait(self._reading, self.from_driver, deadline)
            piece = os.read(self.from_driver.fileno(), 1 << 16)
            if not piece:
                raise EOFError("the driver has gone")
            self.unread += piece

    def _wait(self, events: select.poll, end: IO[bytes], deadline: float) -> None:
        ready = events.poll(max(0, min(deadline - time.monotonic(), LONGEST_WAIT_S)) * 1000)
        if not ready:
            raise JailBroken("the driver has fallen silent")
        if len(ready) > 1 or ready[0][0] != end.fileno():
            raise JailBroken("the pool has gone")

    def hang_up(self) -> None:
        """The init sees it and exits, and nsjail follows. What the driver has said can still be read."""
        self.to_driver.close()

    def close(self) -> None:
        self.to_driver.close()
        self.from_driver.close()

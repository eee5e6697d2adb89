"""Programs as plain processes of this machine, with no protection but limits: what `unprotected=True` means.

For machines where nsjail cannot work, and trusted programs. It offers what `sandbox.jail.Jail` does, with the
machine's own interpreters and compilers in place of a root file system; a program can read, write and connect
wherever the user can, and one that leaves its process group outlives its test.
"""

from __future__ import annotations

import math
import os
import resource
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from base.limits import PATIENCE, Limits
from sandbox.driver.messages import CPU, EXEC_FAILED, EXITED, OUTPUT_LIMIT, PROGRAM, SIGNALED, TIMEOUT, WALL
from sandbox.jail import PRIVATE_ENVIRONMENT, Run, Toolchain, command, ran_out_of_memory

STDERR_KEPT = 16384


class Bare:
    def __init__(self, toolchain: Toolchain):
        self.toolchain = toolchain

    def run(
        self,
        program: str,
        inputs: list[str],
        limits: Limits,
        files: dict[str, bytes] | None = None,
        ahead: bool = False,
    ) -> Generator[Run]:
        """Compiles (where the language does) and runs the tests, one outcome at a time, never ahead."""
        left = limits.program_s or math.inf  # between two runs it stands still, as in a jail
        with tempfile.TemporaryDirectory(prefix="agnostics-") as folder:
            Path(folder, self.toolchain.filename).write_bytes(program.encode(errors="replace"))
            for name, content in (files or {}).items():
                Path(folder, name).write_bytes(content)
            if self.toolchain.compile:
                span = Span(limits.compile_s, limits.compile_wall_s, left)
                run = _run(command(self.toolchain.compile), b"", folder, span, limits, True)
                left -= run.wall_s
                yield run
            for text in inputs:
                argv = command(self.toolchain.execute)
                span = Span(limits.test_s, limits.test_wall_s, left)
                run = _run(argv, text.encode(errors="replace"), folder, span, limits)
                left -= run.wall_s
                yield run

    def watch(self, fd: int) -> None:
        """A jail notices that the pool has gone during a run; this notices after it."""

    def close(self) -> None:
        """Nothing is kept between programs."""


class Span(NamedTuple):
    """What a run may take, seconds."""

    cpu: float
    wall: float
    left: float  # of the whole program's wall-clock time


def _run(argv: list[str], stdin: bytes, folder: str, span: Span, limits: Limits, compiling: bool = False) -> Run:
    def bound() -> None:  # in the child
        mb, most = 1 << 20, resource.RLIM_INFINITY
        for kind, value in (
            (resource.RLIMIT_AS, limits.memory_mb * mb),
            (resource.RLIMIT_DATA, most),
            (resource.RLIMIT_STACK, most),  # only the memory limit bounds it
            (resource.RLIMIT_FSIZE, limits.file_mb * mb),
            (resource.RLIMIT_CPU, int(span.cpu) + 2),  # should we not see to it
            (resource.RLIMIT_NOFILE, 256),
            (resource.RLIMIT_CORE, 0),
        ):
            try:
                resource.setrlimit(kind, (value, value))
            except ValueError:  # the machine's own limit is lower
                hard = resource.getrlimit(kind)[1]
                resource.setrlimit(kind, (hard, hard))

    start = time.monotonic()
    if span.left <= 0:
        return Run(TIMEOUT, PROGRAM, b"", b"", 0.0, 0.0, 0.0, False)
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"} | PRIVATE_ENVIRONMENT
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            argv, stdin=pipe, stdout=pipe, stderr=pipe, cwd=folder, env=environment, bufsize=0,
            start_new_session=True, preexec_fn=bound,
        )  # fmt: skip
    except OSError as error:
        return Run(EXEC_FAILED, error.errno or 0, b"", b"", 0.0, 0.0, 0.0, False)
    cap = round(limits.output_mb * (1 << 20))
    with process:
        how, code, out, err = _follow(process, stdin, Deadlines(process.pid, start, span), cap)
        if how != EXITED:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        with suppress(ProcessLookupError):  # what it has left running
            os.killpg(process.pid, signal.SIGKILL)
    wall = time.monotonic() - start
    if how == EXITED:
        signaled = os.WIFSIGNALED(status)
        how = SIGNALED if signaled else EXITED
        code = os.WTERMSIG(status) if signaled else os.WEXITSTATUS(status)
    cpu = usage.ru_utime + usage.ru_stime
    if how in (EXITED, SIGNALED) and cpu >= span.cpu:
        how, code = TIMEOUT, CPU  # it ended, or met RLIMIT_CPU, between two looks
    starved = how in (EXITED, SIGNALED) and (how, code) != (EXITED, 0) and ran_out_of_memory(out, err, compiling)
    return Run(how, code, out[:cap], err[:STDERR_KEPT], wall, cpu, usage.ru_maxrss / 1024, starved)


class Deadlines:
    """When a process has had its time, by the clock and by the CPU time of its session."""

    def __init__(self, session: int, start: float, span: Span):
        self.session, self.start, self.span = session, start, span
        self.look = start + max(span.cpu / 8, 0.01)  # at the CPU time
        self.last = start + span.left
        self.wall = min(self.last, start + span.wall)

    def left(self) -> float:
        """Seconds until one may have passed."""
        return max(0.0, min(self.look, self.wall) - time.monotonic())

    def passed(self) -> int:
        """Which one has; 0: none."""
        now = time.monotonic()
        if now >= self.last:
            return PROGRAM
        if now >= self.wall:  # not yet of one that is not asleep, but shares its core with many
            if now >= (later := self.start + self.span.wall + PATIENCE * _used(self.session)):
                return WALL
            self.wall = min(self.last, max(later, now + 0.01))
        if now >= self.look:
            if (rest := self.span.cpu - _used(self.session)) <= 0:
                return CPU
            self.look = now + max(rest / 8, 0.01)
        return 0


def _follow(
    process: subprocess.Popen[bytes], stdin: bytes, deadlines: Deadlines, cap: int
) -> tuple[int, int, bytes, bytes]:
    """Feeds and drains the process until it has ended, or broken a limit: how, which deadline it met, its outputs.

    As in a jail, what it has left running is not waited for.
    """
    assert process.stdin and process.stdout and process.stderr
    outputs = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    out, err = outputs.values()
    entry, left = process.stdin.fileno(), memoryview(stdin)
    for fd in (entry, *outputs):
        os.set_blocking(fd, False)
    poll, end = select.poll(), os.pidfd_open(process.pid)
    for fd in (end, *outputs):
        poll.register(fd, select.POLLIN)
    if left:
        poll.register(entry, select.POLLOUT)
    else:
        process.stdin.close()

    def read(fd: int) -> bool:
        """Takes some of an output; whether there may be more."""
        try:
            piece = os.read(fd, 1 << 16)
        except BlockingIOError:
            return False
        if not piece:
            poll.unregister(fd)
            del outputs[fd]
            return False
        outputs[fd] += piece
        return len(outputs[fd]) <= cap

    how, met = None, 0
    while how is None:
        ready = [fd for fd, _ in poll.poll(deadlines.left() * 1000)]
        if met := deadlines.passed():
            how = TIMEOUT
        elif end in ready:
            how = EXITED
        for fd in list(outputs):
            if how == EXITED:  # all that it has written
                while read(fd):
                    pass
            elif fd in ready:
                read(fd)
        if entry in ready:
            try:
                left = left[os.write(entry, left) :]
            except BlockingIOError:
                pass
            except BrokenPipeError:
                left = memoryview(b"")
            if not left:
                poll.unregister(entry)
                process.stdin.close()
        if max(len(out), len(err)) > cap:
            how, met = OUTPUT_LIMIT, 0
    os.close(end)
    return how, met, bytes(out), bytes(err)


def _used(session: int) -> float:
    """CPU time of the session's processes, and of those whom they have waited for, seconds."""
    ticks = 0
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with suppress(OSError), open(f"/proc/{entry}/stat", "rb") as file:
                words = file.read().rpartition(b")")[2].split()  # from field 3 on: the name before may hold anything
                if int(words[3]) == session:
                    ticks += sum(map(int, words[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")

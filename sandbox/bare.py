"""Programs as plain processes of this machine, with no protection but limits: what `unprotected=True` means.

For machines where nsjail cannot work, and trusted programs. It offers what `sandbox.jail.Jail` does, with the
machine's own interpreters and compilers in place of a root file system; a program can read, write and connect
wherever the user can, and one that leaves its process group outlives its test.
"""

from __future__ import annotations

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

from base.limits import Limits
from sandbox.jail import (
    EXEC_FAILED,
    EXITED,
    OUTPUT_LIMIT,
    PRIVATE_ENVIRONMENT,
    SIGNALED,
    TIMEOUT,
    Run,
    Toolchain,
    command,
    ran_out_of_memory,
)

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
        left = limits.program_s  # between two runs it stands still, as in a jail
        with tempfile.TemporaryDirectory(prefix="agnostics-") as folder:
            Path(folder, self.toolchain.filename).write_bytes(program.encode(errors="replace"))
            for name, content in (files or {}).items():
                Path(folder, name).write_bytes(content)
            if self.toolchain.compile:
                run = _run(command(self.toolchain.compile), b"", folder, min(limits.compile_s, left), limits, True)
                left -= run.wall_s
                yield run
            for text in inputs:
                argv = command(self.toolchain.execute)
                run = _run(argv, text.encode(errors="replace"), folder, min(limits.test_s, left), limits)
                left -= run.wall_s
                yield run

    def watch(self, fd: int) -> None:
        """A jail notices that the pool has gone during a run; this notices after it."""

    def close(self) -> None:
        """Nothing is kept between programs."""


def _run(argv: list[str], stdin: bytes, folder: str, seconds: float, limits: Limits, compiling: bool = False) -> Run:
    def bound() -> None:  # in the child
        mb = 1 << 20
        for kind, value in (
            (resource.RLIMIT_AS, limits.memory_mb * mb),
            (resource.RLIMIT_FSIZE, limits.file_mb * mb),
            (resource.RLIMIT_CPU, limits.cpu_s),
            (resource.RLIMIT_CORE, 0),
        ):
            hard, most = value + (kind == resource.RLIMIT_CPU), resource.getrlimit(kind)[1]
            if most != resource.RLIM_INFINITY:
                hard = min(hard, most)  # the machine's own limit is lower
            resource.setrlimit(kind, (min(value, hard), hard))

    start = time.monotonic()
    if seconds <= 0:
        return Run(TIMEOUT, 0, b"", b"", 0.0, 0.0, 0.0, False)
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"} | PRIVATE_ENVIRONMENT
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            argv, stdin=pipe, stdout=pipe, stderr=pipe, cwd=folder, env=environment, bufsize=0,
            start_new_session=True, preexec_fn=bound,
        )  # fmt: skip
    except OSError as error:
        return Run(EXEC_FAILED, error.errno or 0, b"", b"", 0.0, 0.0, 0.0, False)
    assert process.stdin and process.stdout and process.stderr
    outcome, status, usage = _follow(process, stdin, start + seconds, round(limits.output_mb * (1 << 20)))
    wall = time.monotonic() - start
    cap = round(limits.output_mb * (1 << 20))
    out, err = outcome[1][:cap], outcome[2][:STDERR_KEPT]
    how, code = outcome[0], 0
    if how == EXITED:
        signaled = os.WIFSIGNALED(status)
        how = SIGNALED if signaled else EXITED
        code = os.WTERMSIG(status) if signaled else os.WEXITSTATUS(status)
    cpu = usage.ru_utime + usage.ru_stime
    starved = how in (EXITED, SIGNALED) and (how, code) != (EXITED, 0) and ran_out_of_memory(out, err, compiling)
    return Run(how, code, out, err, wall, cpu, usage.ru_maxrss / 1024, starved)


def _follow(
    process: subprocess.Popen[bytes], stdin: bytes, deadline: float, cap: int
) -> tuple[tuple[int, bytes, bytes], int, resource.struct_rusage]:
    """Feeds and drains the process until it has closed its outputs and ended, or broken a limit."""
    assert process.stdin and process.stdout and process.stderr
    outputs = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    streams = list(outputs.values())
    ends = [process.stdin, process.stdout, process.stderr]
    for end in ends:
        os.set_blocking(end.fileno(), False)
    poll, left, outcome = select.poll(), memoryview(stdin), EXITED
    for fd in outputs:
        poll.register(fd, select.POLLIN)
    if left:
        poll.register(process.stdin.fileno(), select.POLLOUT)
    else:
        process.stdin.close()
    while outputs and outcome == EXITED:
        ready = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
        if not ready:
            outcome = TIMEOUT
        for fd, _ in ready:
            if fd in outputs:
                with suppress(BlockingIOError):
                    if piece := os.read(fd, 1 << 16):
                        outputs[fd] += piece
                        if len(outputs[fd]) > cap:
                            outcome = OUTPUT_LIMIT
                    else:
                        poll.unregister(fd)
                        del outputs[fd]
            else:
                try:
                    left = left[os.write(fd, left) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    left = memoryview(b"")
                if not left:
                    poll.unregister(fd)
                    process.stdin.close()
    if outcome == EXITED:  # the outputs are closed; the process may yet run on
        pid_fd = os.pidfd_open(process.pid)
        if not select.select([pid_fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
            outcome = TIMEOUT
        os.close(pid_fd)
    if outcome != EXITED:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for end in ends:
        end.close()
    return (outcome, bytes(streams[0]), bytes(streams[1])), status, usage

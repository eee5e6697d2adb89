"""One jail: an nsjail process whose driver (sandbox/driver/driver.c) makes a fresh set of namespaces for every program.

A worker process owns it. This module starts nsjail, speaks the driver's messages, and keeps a watchdog above the
driver's own deadlines. Only the standard library is imported, so that a worker stays small.
"""

from __future__ import annotations

import math
import os
import re
import select
import shlex
import struct
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from base.limits import PATIENCE, Limits
from sandbox.cgroup import Cgroup
from sandbox.driver.binaries import Binaries, Level
from sandbox.driver.confinement import Confinement
from sandbox.job import SandboxError, Status

MAGIC = 0x4A414752
JOB, TEST, LAST_TEST, STOP, RUNTIME = 1, 2, 3, 4, 5
EXITED, SIGNALED, TIMEOUT, OUTPUT_LIMIT, EXEC_FAILED = range(5)
HEAD = struct.Struct("<II")
LIMITS = struct.Struct("<12I")
CPU, WALL, PROGRAM = 1, 2, 3  # the code of a TIMEOUT: which deadline was met
RESULT = struct.Struct("<IIiIIIQQ")

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
}
PRIVATE_ENVIRONMENT = {"HOME": "/tmp", "TMPDIR": "/tmp"}  # the only place a program may write
SHELL_CHARACTERS = set("|&;<>()$`\\\"'*?[]#~%{}!\n\t")
SHELL_WORDS = {"exec", "export", "cd", "ulimit", "umask", "set"}  # no programs of their own
NSJAIL_LINE = re.compile(r"^(\[[^\]]*\])+ ?(\w+\(\):\d+ )?")
GRACE_S = 10.0  # how much later than the driver the watchdog gives up, seconds
START_S = 30.0  # for nsjail to start, seconds
INPUT_MB = 1000  # of one test, MiB: a message to the driver is below 1 GiB
AHEAD_CHARACTERS = 1 << 16  # of all inputs of a program that are sent with it, so that no test waits to be asked for
NO_MEMORY = re.compile(  # what runtimes print when an allocation fails
    rb"(?i)out.?of.?memory"  # many: Java, Julia, OCaml, Modula-2, Guile
    rb"|(not enough|insufficient) memory"  # LuaJIT, Algol 68
    rb"|MemoryError|bad_alloc|STORAGE_ERROR"  # Python, C++, Ada
    rb"|cannot allocate|error allocating"  # the C library, R, Bash, Erlang; gfortran
    rb"|(memory|heap) exhausted|heap memory"  # GNU tools, Common Lisp, Node
    rb"|could not reserve enough space"  # the JVM, at its start
    rb"|inadequate space|stack limit \("  # Icon, Prolog
    rb"|runtime error 203"  # Pascal
)
COMPILER_NO_MEMORY = re.compile(  # only of itself, at a line's begin: a compiler's errors quote the program
    rb"(?im)^([\w./+-]+: |fatal error: |final link failed: )*"
    rb"((virtual )?memory exhausted|out of memory|cannot allocate memory)"  # GNU tools; GHC, Go
    rb"|^Error occurred during initialization of VM|^# There is insufficient memory for the Java Runtime"
)
LAST_WORDS = 2000  # bytes of standard output that are looked at: some runtimes speak there


class JailBroken(Exception):
    """nsjail, the driver or the init inside died or fell silent: start a new jail and try again."""


@dataclass(frozen=True)
class Toolchain:
    """What a jail needs to know of a language: all that a worker process is told."""

    language: str
    root: str  # the root file system
    environment: tuple[tuple[str, str], ...]  # of its image
    filename: str
    compile: str | None
    execute: str
    limits: Limits
    warm: bool = False  # tests begin as copies of a runtime, see driver/warm.c


@dataclass(frozen=True)
class Run:
    """One command's outcome as the driver saw it."""

    outcome: int  # EXITED, SIGNALED, ...
    code: int  # exit code, signal, errno, or which deadline
    stdout: bytes
    stderr: bytes  # the first 16 KiB
    wall_s: float
    cpu_s: float
    memory_mb: float
    out_of_memory: bool

    @property
    def status(self) -> Status | None:
        """None: it ran to its end and returned 0, so the output decides."""
        if self.outcome == OUTPUT_LIMIT:
            return Status.OUTPUT_LIMIT
        if self.out_of_memory:
            return Status.MEMORY_LIMIT
        if self.outcome == TIMEOUT:
            return Status.TIMEOUT
        return None if self.outcome == EXITED and self.code == 0 else Status.RUNTIME_ERROR


def ran_out_of_memory(stdout: bytes, stderr: bytes, compiling: bool = False) -> bool:
    """Whether a failed program, or compiler, says that an allocation failed."""
    words = COMPILER_NO_MEMORY if compiling else NO_MEMORY
    return any(words.search(said) for said in (stderr, stdout[-LAST_WORDS:]))


def command(line: str) -> list[str]:
    """A shell line as argv; the shell itself is started only where the line needs one."""
    first = line.split(maxsplit=1)[0]
    shell = SHELL_CHARACTERS & set(line) or "=" in first or first in SHELL_WORDS
    return ["/bin/sh", "-c", line] if shell else shlex.split(line)


class Jail:
    """A running nsjail. Not for use by several threads."""

    def __init__(self, toolchain: Toolchain, number: int, cgroup: Cgroup | None, binaries: Binaries):
        """`number` tells workers apart: each has a user of its own outside. Raises SandboxError."""
        self.toolchain = toolchain
        self.cgroup = cgroup
        self._confinement = None
        if binaries.level is not Level.NAMESPACES:
            self._confinement = Confinement(toolchain.root, binaries, _main_program(toolchain))
        self._warm = toolchain.warm and not self._confinement
        env = ENVIRONMENT | dict(toolchain.environment) | PRIVATE_ENVIRONMENT
        if self._confinement:
            env |= self._confinement.environment
        self._environment = _strings([f"{key}={value}" for key, value in env.items()])
        self._compile = _strings(command(toolchain.compile) if toolchain.compile else [])
        self._execute = _strings(command(toolchain.execute))
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            self._command(number, binaries),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            bufsize=0,
            env={},
            cwd="/",
            pass_fds=[cgroup.cpu] if cgroup and cgroup.cpu is not None else [],
        )
        assert self._process.stdin and self._process.stdout
        self._to_driver = self._process.stdin.fileno()
        self._from_driver = self._process.stdout.fileno()
        os.set_blocking(self._to_driver, False)
        self._reading = select.poll()
        self._reading.register(self._from_driver, select.POLLIN)
        self._writing = select.poll()
        self._writing.register(self._to_driver, select.POLLOUT)
        self._unread = bytearray()  # of the driver's results
        try:
            self._receive(time.monotonic() + START_S)
            if self._warm:
                runtime = b"".join(
                    len(blob).to_bytes(4, "little") + blob for blob in (self._execute, self._environment)
                )
                self._send(HEAD.pack(RUNTIME, len(runtime)) + runtime, time.monotonic() + START_S)
        except JailBroken as error:
            self.close()
            who = "the driver" if self._confinement else "nsjail"
            raise SandboxError(f"{who} cannot start the jail of {toolchain.language}: {error}") from error

    def watch(self, fd: int) -> None:
        """From now on a hang-up of `fd` interrupts a run with JailBroken: the pool has gone."""
        self._reading.register(fd, 0)
        self._writing.register(fd, 0)

    def _command(self, number: int, binaries: Binaries) -> list[str]:
        root = os.geteuid() == 0
        user = 100_000 + number if root else os.geteuid()
        group = 100_000 + number if root else os.getegid()
        groups = [str(path / "cgroup.procs") for path in self.cgroup.paths] if self.cgroup else []
        clock = [str(self.cgroup.cpu)] if self.cgroup and self.cgroup.cpu is not None else []
        if self._confinement:
            return [binaries.driver, "confine", "\n".join(groups), *self._confinement.arguments, *clock]
        line = [binaries.driver, "launch", "\n".join(groups), self.toolchain.root if root else ""]
        chroot, inside = ("/sys/root", "/sys/driver") if root else (self.toolchain.root, binaries.driver)
        line += [binaries.nsjail, "-Mo", "-q", "--chroot", chroot, "--cwd", "/", "-t", "0"]
        line += ["-u", f"1000:{user}:1", "-g", f"1000:{group}:1", "--keep_caps", "--disable_rlimits"]
        line += ["--nice_level", "0", "--iface_no_lo", "--proc_rw"]
        line += ["-m", "none:/dev:tmpfs:size=65536,nr_inodes=32,mode=755"]
        for device in ("null", "zero", "full", "random", "urandom"):
            line += ["-R", f"/dev/{device}"]
        for link, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
            line += ["-s", f"/proc/self/fd{target}:/dev/{link}"]
        for descriptor in clock:
            line += ["--pass_fd", descriptor]
        runtime = ["runtime"] if self._warm else []
        return [*line, "-R", f"{inside}:/dev/driver", "--", "/dev/driver", *runtime, *clock]

    def run(
        self,
        program: str,
        inputs: list[str],
        limits: Limits,
        files: dict[str, bytes] | None = None,
        ahead: bool = False,
    ) -> Generator[Run]:
        """Compiles (where the language does) and runs the tests, one outcome at a time.

        The caller stops reading when it has seen enough, and must then close the generator. Raises JailBroken.
        `ahead`: the next test may run while the caller looks at an outcome, and nothing follows a run that failed by
        itself. An out-of-memory kill that an earlier test survived is then laid to a later test's failure.
        """
        if self.cgroup:
            memory_mb = limits.memory_mb + _held_mb(inputs)
            try:
                self.cgroup.limit(memory_mb)
            except OSError as error:
                raise JailBroken(f"the memory cgroup refuses a limit of {memory_mb} MiB: {error}") from error
        self._oom_kills = self.cgroup.oom_kills() if self.cgroup else 0
        compiling = compiles = self.toolchain.compile is not None
        # For each answer: the caller may take its time between two.
        patience = replace(limits, program_s=None).longest_s(1) + GRACE_S
        blobs = [
            self.toolchain.filename.encode(),
            program.encode(errors="replace"),
            self._compile,
            self._execute,
            self._environment,
        ]
        given = (text.encode(errors="replace") for text in inputs)  # one by one: there may be hundreds, of megabytes
        ahead = ahead and sum(map(len, inputs)) <= AHEAD_CHARACTERS
        blobs.append(b"".join(len(stdin).to_bytes(4, "little") + stdin for stdin in given) if ahead else b"")
        for name, content in (files or {}).items():
            blobs += [name.encode(), content]
        payload = [self._limits(limits)]
        for blob in blobs:
            payload += [len(blob).to_bytes(4, "little"), blob]
        job = b"".join(payload)
        message = HEAD.pack(JOB, len(job)) + job
        left = len(inputs) + compiles
        if self._unread:
            raise JailBroken("the driver said more than it was asked")
        try:
            if ahead:
                self._send(message, time.monotonic() + patience)
                while left:
                    run = self._judge(self._receive(time.monotonic() + patience), compiling, ahead)
                    left = left - 1 if run.status is None else 0
                    compiling = False
                    yield run
                return
            if compiles:
                deadline = time.monotonic() + patience
                self._send(message, deadline)
                message = b""
                result = self._receive(deadline)
                left -= 1
                yield self._judge(result, compiling)
            for stdin in given:
                deadline = time.monotonic() + patience
                head = HEAD.pack(LAST_TEST if left == 1 else TEST, len(stdin))
                self._send(message + head + stdin, deadline)
                message = b""
                result = self._receive(deadline)
                left -= 1
                yield self._judge(result)
        except OSError as error:
            raise JailBroken(self._why(f"the driver does not listen ({error})")) from error
        finally:
            if left and self._process.poll() is None:
                self._stop(left if ahead else 0)

    def _stop(self, unread: int) -> None:
        """Ends the program. No result of it is left in the pipe for the next one: where that fails, nsjail goes too."""
        deadline = time.monotonic() + GRACE_S
        try:
            self._send(HEAD.pack(STOP, 0), deadline)
            while unread:
                (_, outcome, code, *_), _, _ = self._receive(deadline)
                unread = unread - 1 if (outcome, code) == (EXITED, 0) else 0
        except (OSError, JailBroken):
            self._process.kill()

    def _limits(self, limits: Limits) -> bytes:
        disk_mb = limits.disk_mb
        if self.cgroup:  # files on a tmpfs are memory that killing no process gives back: leave room for the program
            disk_mb = limits.room_mb
        return LIMITS.pack(
            _ms(limits.compile_s),
            _ms(limits.compile_wall_s),
            _ms(limits.test_s),
            _ms(limits.test_wall_s),
            PATIENCE,
            _ms(limits.program_s or math.inf),
            0 if self.cgroup else limits.memory_mb,
            limits.processes,
            limits.file_mb,
            disk_mb,
            limits.inodes,
            min(round(limits.output_mb * 1024 * 1024), 0xFFFFFFFF),  # beyond 4 GiB nobody waits for the difference
        )

    def _judge(self, result: tuple[tuple[int, ...], bytes, bytes], compiling: bool = False, ahead: bool = False) -> Run:
        (_, outcome, code, _, _, memory_kb, wall_us, cpu_us), stdout, stderr = result
        failed = outcome in (EXITED, SIGNALED, TIMEOUT) and (outcome, code) != (EXITED, 0)
        oom_kills = self.cgroup.oom_kills() if self.cgroup and (failed or not ahead) else self._oom_kills
        said = outcome != TIMEOUT and not (compiling and self.cgroup) and ran_out_of_memory(stdout, stderr, compiling)
        starved = failed and (oom_kills > self._oom_kills or said)
        self._oom_kills = oom_kills  # a kill that an earlier test survived is not this one's
        return Run(outcome, code, stdout, stderr, wall_us / 1e6, cpu_us / 1e6, memory_kb / 1024, starved)

    def _send(self, message: bytes, deadline: float) -> None:
        view = memoryview(message)
        while view:
            try:
                view = view[os.write(self._to_driver, view) :]
            except BlockingIOError:
                self._wait(self._writing, self._to_driver, deadline)

    def _receive(self, deadline: float) -> tuple[tuple[int, ...], bytes, bytes]:
        self._read(RESULT.size, deadline)
        fields = RESULT.unpack_from(self._unread)
        if fields[0] != MAGIC:
            raise JailBroken("the driver's answer is no message")
        middle = RESULT.size + fields[3]
        end = middle + fields[4]
        self._read(end, deadline)
        stdout, stderr = bytes(self._unread[RESULT.size : middle]), bytes(self._unread[middle:end])
        del self._unread[:end]
        return fields, stdout, stderr

    def _read(self, least: int, deadline: float) -> None:
        """Waits until `least` bytes are in `_unread`; there may be more."""
        while len(self._unread) < least:
            self._wait(self._reading, self._from_driver, deadline)
            piece = os.read(self._from_driver, 1 << 16)
            if not piece:
                raise JailBroken(self._why("the driver has gone"))
            self._unread += piece

    def _wait(self, events: select.poll, fd: int, deadline: float) -> None:
        ready = events.poll(max(0, deadline - time.monotonic()) * 1000)
        if not ready:
            raise JailBroken("the driver has fallen silent")
        if any(other != fd for other, _ in ready):
            raise JailBroken("the pool has gone")

    def _why(self, otherwise: str) -> str:
        """What the driver, or else nsjail, wrote last before it ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self._log.seek(0)
        lines = self._log.read(1 << 16).decode(errors="replace").splitlines()
        ours = [line for line in lines if line.startswith("driver: ")]
        theirs = [NSJAIL_LINE.sub("", line) for line in lines if line.startswith(("[W]", "[E]", "[F]"))]
        return (ours[-1:] or theirs[:1] or [otherwise])[0]

    def close(self) -> None:
        """Ends nsjail and all inside it; returns when it is gone."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()  # the init sees it, exits, and nsjail follows
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()
        if self._confinement:
            self._confinement.close()


def _ms(seconds: float) -> int:
    return max(1, round(min(seconds * 1000, 0xFFFFFFFF)))


def _held_mb(inputs: list[str]) -> int:
    """MiB that the init holds for the program while it reads its largest input: they are not the program's memory."""
    return max((len(text) if text.isascii() else 4 * len(text) for text in inputs), default=0) >> 20


def _main_program(toolchain: Toolchain) -> str:
    """The path inside the root of what runs a language's programs, else compiles them; as well as can be told."""
    root, path = Path(toolchain.root).resolve(), dict(toolchain.environment).get("PATH", ENVIRONMENT["PATH"])
    for line in (toolchain.execute, toolchain.compile or ""):
        word = next((word for word in line.split() if "=" not in word and word not in ("env", "exec")), "")
        for folder in [""] if word.startswith("/") else path.split(":"):
            place = root / folder.lstrip("/") / word.lstrip("/")
            for _ in range(20):  # links as they are inside
                if place.is_symlink():
                    goal = place.readlink()
                    place = root / str(goal).lstrip("/") if goal.is_absolute() else place.parent / goal
            place = Path(os.path.normpath(place))
            if place.is_file() and place.is_relative_to(root):
                return "/" + str(place.relative_to(root))
    return "/bin/sh"


def _strings(words: list[str]) -> bytes:
    return b"".join(word.encode() + b"\0" for word in words)

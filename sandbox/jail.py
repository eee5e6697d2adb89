"""One jail: an nsjail process whose driver (sandbox/driver/driver.c) makes a fresh set of namespaces for every program.

A worker process owns it. This module starts nsjail, talks to the driver (sandbox/driver/messages.py), and keeps a
watchdog above the driver's own deadlines. Only the standard library is imported, so that a worker stays small.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from base.limits import Limits
from sandbox.cgroup import Cgroup
from sandbox.driver import messages
from sandbox.driver.binaries import Binaries, Level
from sandbox.driver.confinement import Confinement
from sandbox.driver.messages import EXITED, SIGNALED, TIMEOUT, JailBroken, Link, Run
from sandbox.job import SandboxError

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


def ran_out_of_memory(stdout: bytes, stderr: bytes, compiling: bool = False) -> bool:
    """Whether a failed program, or compiler, says that an allocation failed."""
    words = COMPILER_NO_MEMORY if compiling else NO_MEMORY
    return any(words.search(said) for said in (stderr, stdout[-LAST_WORDS:]))


def command(line: str) -> list[str]:
    """A shell line as argv; the shell itself is started only where the line needs one."""
    first = line.split(maxsplit=1)[0]
    shell = SHELL_CHARACTERS & set(line) or "=" in first or first in SHELL_WORDS
    return ["/bin/sh", "-c", line] if shell else shlex.split(line)


def starts(line: str) -> str:
    """The program that a shell line starts first, as well as can be told; "" where it names none."""
    return next((word for word in line.split() if "=" not in word and word not in ("env", "exec")), "")


def without_env(argv: list[str]) -> tuple[dict[str, str], list[str]]:
    """Splits `env NAME=VALUE ... PROGRAM ...` into the variables and the program's own argv: else env would be copied.

    Any other command, also of env, is left as it is.
    """
    names = list(itertools.takewhile(lambda word: "=" in word, argv[1:]))
    rest = argv[1 + len(names) :]
    if argv[0] != "env" or not rest or rest[0].startswith("-"):
        return {}, argv
    return dict(name.split("=", 1) for name in names), rest


class Jail:
    """A running nsjail. Not for use by several threads."""

    def __init__(
        self, toolchain: Toolchain, number: int, cgroup: Cgroup | None, binaries: Binaries, core: int | None = None
    ):
        """`number` tells workers apart: each has a user of its own outside. Tests begin on `core`, and may go to any.

        Raises SandboxError.
        """
        self.toolchain = toolchain
        self._core = core
        self.cgroup = cgroup
        self._confinement = None
        if binaries.level is not Level.NAMESPACES:
            self._confinement = Confinement(toolchain.root, binaries, _main_program(toolchain))
        env = ENVIRONMENT | dict(toolchain.environment) | PRIVATE_ENVIRONMENT
        if self._confinement:
            env |= self._confinement.environment
        compile = command(toolchain.compile) if toolchain.compile else []
        execute = command(toolchain.execute)
        if not compile:  # whose environment is the same
            given, execute = without_env(execute)
            env |= given
        self._commands = messages.Commands.of(compile, execute, [f"{key}={value}" for key, value in env.items()])
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
        self.link = Link(self._process.stdin, self._process.stdout)
        try:
            self._receive(time.monotonic() + START_S)
            if toolchain.warm and not self._confinement:
                self.link.send(messages.runtime(self._commands), time.monotonic() + START_S)
        except JailBroken as error:
            self.close()
            who = "the driver" if self._confinement else "nsjail"
            raise SandboxError(f"{who} cannot start the jail of {toolchain.language}: {error}") from error

    @property
    def pid(self) -> int:
        """The process that all inside descend from: nsjail, or the driver where there are no namespaces."""
        return self._process.pid

    def watch(self, fd: int) -> None:
        """From now on a hang-up of `fd` interrupts a run with JailBroken: the pool has gone."""
        self.link.watch(fd)

    def _command(self, number: int, binaries: Binaries) -> list[str]:
        root = os.geteuid() == 0
        user = 100_000 + number if root else os.geteuid()
        group = 100_000 + number if root else os.getegid()
        groups = [str(path / "cgroup.procs") for path in self.cgroup.paths] if self.cgroup else []
        clock = [str(self.cgroup.cpu)] if self.cgroup and self.cgroup.cpu is not None else []
        wanted = ["warm"] if self.toolchain.warm else []
        wanted += [f"core={self._core}"] if self._core is not None else []
        wanted += [f"clock={descriptor}" for descriptor in clock]
        if self._confinement:
            return [binaries.driver, "confine", "\n".join(groups), *self._confinement.arguments, *wanted]
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
        line += ["-s", "/tmp:/dev/shm"]  # of glibc's semaphores, which Python's multiprocessing needs
        for descriptor in clock:
            line += ["--pass_fd", descriptor]
        return [*line, "-R", f"{inside}:/dev/driver", "--", "/dev/driver", *wanted]

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
        patience = limits.runs_s(1) + GRACE_S
        given = (text.encode(errors="replace") for text in inputs)  # one by one: there may be hundreds, of megabytes
        ahead = ahead and sum(map(len, inputs)) <= AHEAD_CHARACTERS
        message = messages.job(
            self.toolchain.filename, program, self._commands, limits,
            in_total=self.cgroup is not None, ahead=given if ahead else (), files=files,
        )  # fmt: skip
        left = len(inputs) + compiles
        if self.link.unread:
            raise JailBroken("the driver said more than it was asked")
        try:
            if ahead:
                self.link.send(message, time.monotonic() + patience)
                while left:
                    run = self._judge(self._receive(time.monotonic() + patience), compiling, ahead)
                    left = left - 1 if run.status is None else 0
                    compiling = False
                    yield run
                return
            if compiles:
                deadline = time.monotonic() + patience
                self.link.send(message, deadline)
                message = b""
                result = self._receive(deadline)
                left -= 1
                yield self._judge(result, compiling)
            for stdin in given:
                deadline = time.monotonic() + patience
                message += messages.message(messages.LAST_TEST if left == 1 else messages.TEST, stdin)
                self.link.send(message, deadline)
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
            self.link.send(messages.message(messages.STOP), deadline)
            while unread:
                unread = unread - 1 if self._receive(deadline).returned_0 else 0
        except (OSError, JailBroken):
            self._process.kill()

    def _receive(self, deadline: float) -> Run:
        try:
            return self.link.receive(deadline)
        except EOFError as error:
            raise JailBroken(self._why(str(error))) from error

    def _judge(self, run: Run, compiling: bool = False, ahead: bool = False) -> Run:
        failed = run.outcome in (EXITED, SIGNALED, TIMEOUT) and not run.returned_0
        if not failed and ahead:
            return run
        before, self._oom_kills = self._oom_kills, self.cgroup.oom_kills() if self.cgroup else 0
        if not failed:
            return run  # and a kill that it survived is not a later test's
        asked = run.outcome != TIMEOUT and not (compiling and self.cgroup)
        said = asked and ran_out_of_memory(run.stdout, run.stderr, compiling)
        return run._replace(out_of_memory=said or self._oom_kills > before)

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
        self.link.hang_up()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.link.close()
        self._log.close()
        if self._confinement:
            self._confinement.close()


def _held_mb(inputs: list[str]) -> int:
    """MiB that the init holds for the program while it reads its largest input: they are not the program's memory."""
    return max((len(text) if text.isascii() else 4 * len(text) for text in inputs), default=0) >> 20


def _main_program(toolchain: Toolchain) -> str:
    """The path inside the root of what runs a language's programs, else compiles them; as well as can be told."""
    root, path = Path(toolchain.root).resolve(), dict(toolchain.environment).get("PATH", ENVIRONMENT["PATH"])
    for line in (toolchain.execute, toolchain.compile or ""):
        word = starts(line)
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

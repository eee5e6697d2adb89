"""A worker process: takes jobs from the pool, runs them in its own jails, compares, and answers with verdicts.

Started by sandbox/pool.py as a plain `python -S`, not through multiprocessing's own start methods: those import the
parent's main script into every worker, and a trainer's main script imports torch. Only the standard library and the
sandbox are imported here. Messages are pickles between two processes of ours over a socket pair; nothing that a
program printed is ever unpickled, it travels as a string.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import socket
import struct
import traceback
from dataclasses import dataclass
from typing import Any

from base.limits import PATIENCE, Limits
from base.text import plain_bytes
from sandbox.bare import Bare
from sandbox.cgroup import Cgroup
from sandbox.compare import matches
from sandbox.driver.binaries import Binaries
from sandbox.driver.messages import CPU, EXEC_FAILED, EXITED, PROGRAM, SIGNALED, JailBroken
from sandbox.jail import Jail, Run, Toolchain
from sandbox.job import Checker, Job, SandboxError, Status, TestResult, Verdict

LENGTH = struct.Struct("<Q")
# What a program's timeouts may take, where every test is run: what is then left counts as timed out, too. CPU time,
# where that was the deadline, so that the reward does not depend on what else runs on the machine.
LOST_S = 60.0


@dataclass(frozen=True)
class Setup:
    """What a worker is told first."""

    number: int
    cgroup: str | None  # begins the names of its jails' memory cgroups; None: bound memory by RLIMIT_AS
    toolchains: dict[str, Toolchain]
    binaries: Binaries | None  # None: no jails, plain processes
    core: int | None = None  # where its programs begin


def send(link: socket.socket, value: Any) -> None:
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    link.sendall(LENGTH.pack(len(data)) + data)  # at once: whoever waits for it is woken up once


def receive(link: socket.socket) -> Any:
    """The next value. Raises EOFError when the other end has gone."""
    data = bytearray()  # neither end says anything more before it is answered
    while len(data) < LENGTH.size or len(data) < LENGTH.size + LENGTH.unpack_from(data)[0]:
        piece = link.recv(1 << 16)
        if not piece:
            raise EOFError
        data += piece
    return pickle.loads(memoryview(data)[LENGTH.size :])


class Worker:
    def __init__(self, setup: Setup, link: socket.socket):
        self.setup = setup
        self.link = link
        self.jails: dict[tuple[str, bool], Jail | Bare] = {}  # by language, and whether it is for checkers
        self.cgroups: dict[tuple[str, bool], Cgroup | None] = {}  # per jail: memory still being freed is its own

    def verify(self, job: Job) -> Verdict:
        """Raises JailBroken and SandboxError, after closing the jails: the pool decides about a retry."""
        if job.program is None:
            return Verdict(job.id, Status.NO_PROGRAM, message="the completion holds no program")
        jail = self._jail(job.language)
        limits = job.limits or jail.toolchain.limits
        size = len(job.program.encode(errors="replace")) / 2**20  # MiB
        if size > limits.room_mb:
            why = f"the program's text is {size:.0f} MiB; the limits leave files {limits.room_mb} MiB"
            return Verdict(job.id, Status.MEMORY_LIMIT, message=why)
        # Not beside a checker: a candidate's clock would run while its results wait to be checked.
        ahead = not job.all_tests and job.compare.checker is None
        runs = jail.run(job.program, [test.input for test in job.tests], limits, ahead=ahead)
        compiled, message, lost_s = None, "", 0.0
        if jail.toolchain.compile is not None:
            run = next(runs)
            compiled = self._compiled(run, job.shown)
            if compiled.status is not Status.PASSED:
                runs.close()
                if compiled.status is Status.TIMEOUT:
                    message = _deadline(run, limits)
                return Verdict(job.id, compiled.status, compile=compiled, message=message)
        results: list[TestResult] = []
        status = Status.PASSED
        for test, run in zip(job.tests, runs, strict=False):
            result = self._tested(job, jail, test.input, test.output, run)
            results.append(result)
            if status is Status.PASSED:
                status = result.status
                if status is Status.TIMEOUT:
                    message = _deadline(run, limits, len(results) - 1)
            if result.status is Status.TIMEOUT:
                lost_s += result.cpu_s if run.code == CPU else result.wall_s
                if job.all_tests and lost_s > LOST_S:
                    late = TestResult(Status.TIMEOUT, stderr=f"not run: others timed out for {lost_s:.0f} s in all")
                    results += [late] * (len(job.tests) - len(results))
                    break
            if status is not Status.PASSED and not job.all_tests:
                break
        runs.close()
        if status is Status.INFRASTRUCTURE_ERROR:
            message = next(r.stderr for r in results if r.status is Status.INFRASTRUCTURE_ERROR)
        return Verdict(job.id, status, tuple(results), compiled, message)

    def _jail(self, language: str, checks: bool = False) -> Jail | Bare:
        """A checker's is another one than a candidate's, which is still in the middle of its tests."""
        jail = self.jails.get((language, checks))
        if jail is None:
            chain = self.setup.toolchains[language]
            binaries, number, core = self.setup.binaries, self.setup.number, self.setup.core
            jail = Jail(chain, number, self._cgroup(language, checks), binaries, core) if binaries else Bare(chain)
            jail.watch(self.link.fileno())
            self.jails[language, checks] = jail
        return jail

    def _cgroup(self, language: str, checks: bool) -> Cgroup | None:
        """That of a jail: it outlives the jail, which may break and be made anew."""
        if self.setup.cgroup and (language, checks) not in self.cgroups:
            name = f"{self.setup.cgroup}-{language}{'-checkers' if checks else ''}"
            self.cgroups[language, checks] = Cgroup.create(name)
        return self.cgroups.get((language, checks))

    def _compiled(self, run: Run, shown: int) -> TestResult:
        if run.outcome == EXEC_FAILED:
            raise SandboxError(_missing(run))
        status = run.status or Status.PASSED
        if status is Status.RUNTIME_ERROR:
            status = Status.COMPILE_ERROR
        return _result(status, run, run.stdout.decode(errors="replace"), shown)

    def _tested(self, job: Job, jail: Jail | Bare, given: str, expected: str, run: Run) -> TestResult:
        output = run.stdout.decode(errors="replace")
        status = run.status
        if run.outcome == EXEC_FAILED:
            # `./program` is the program's own doing; a missing interpreter is ours
            if not jail.toolchain.execute.startswith("./"):
                raise SandboxError(_missing(run))
            status = Status.RUNTIME_ERROR
        if status is None and job.compare.rule == "checker":
            assert job.compare.checker is not None
            judged = self._checked(job.compare.checker, given, plain_bytes(run.stdout), expected)
            return _result(Status.PASSED, run, output, job.shown)._replace(**judged)
        if status is None:
            status = Status.PASSED if matches(job.compare, output, expected) else Status.WRONG_OUTPUT
        return _result(status, run, output, job.shown)

    def _checked(self, checker: Checker, given: str, output: bytes, reference: str) -> dict[str, Any]:
        """What a checker program makes of an output: it exits with 0 for right, 1 for wrong.

        Where it fails on this output, but works on the reference, the output is to blame and is wrong: no program gets
        out of its verdict by printing what breaks the checker. Where it fails on both, it is an infrastructure error.
        """
        right, last = self._ask(checker, given, output, reference)
        if right is not None:
            return {"status": Status.PASSED if right else Status.WRONG_OUTPUT}
        words = _shown(last.stderr.decode(errors="replace"), Job.shown)
        why = f"the checker failed (exit code or signal {last.code}): {words}"
        works, _ = self._ask(checker, given, reference.encode(errors="replace"), reference)
        status = Status.INFRASTRUCTURE_ERROR if works is None else Status.WRONG_OUTPUT
        return {"status": status, "stderr": why}

    def _ask(self, checker: Checker, given: str, output: bytes, reference: str) -> tuple[bool | None, Run]:
        """(the checker's answer, None if it gave none; its last run).

        It finds input.txt, output.txt and reference.txt in its folder, and the output on its standard input; it runs in
        a jail of its own, where no candidate has been.
        """
        jail = self._jail(checker.language, checks=True)
        files = {
            "input.txt": given.encode(errors="replace"),
            "output.txt": output,
            "reference.txt": reference.encode(errors="replace"),
        }
        runs = list(jail.run(checker.program, [output.decode(errors="replace")], jail.toolchain.limits, files))
        last = runs[-1]
        answered = all(run.status is None for run in runs[:-1]) and last.outcome == EXITED and last.code in (0, 1)
        return (last.code == 0 if answered else None), last

    def close(self) -> None:
        for jail in self.jails.values():
            jail.close()
        self.jails.clear()


def _deadline(run: Run, limits: Limits, test: int | None = None) -> str:
    """Which deadline a timeout has met, of a test or (None) of the compiler."""
    what, key, cpu_s, wall = f"test {test}", "test_s", limits.test_s, f"limits.wall_s={limits.test_wall_s:g}"
    if test is None:
        what, key, cpu_s, wall = "the compiler", "compile_s", limits.compile_s, f"{limits.compile_wall_s:g} s"
    if run.code == CPU:
        return f"{what} met its limit of CPU time (limits.{key}={cpu_s:g})"
    if run.code == PROGRAM:
        return f"{what} met the limit of wall-clock time of the whole program (limits.program_s={limits.program_s:g})"
    used = f"{PATIENCE} times the {run.cpu_s:.1f} s of CPU time that it has used"
    return f"{what} met its limit of wall-clock time ({wall} and {used})"


def _missing(run: Run) -> str:
    return f"the command of the language file cannot be started in its root file system: {os.strerror(run.code)}"


def _shown(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + "..."


def _result(status: Status, run: Run, output: str, shown: int) -> TestResult:
    return TestResult(
        status,
        _shown(output, shown),
        _shown(run.stderr.decode(errors="replace"), shown),
        run.code if run.outcome == EXITED else None,
        run.code if run.outcome == SIGNALED else None,
        run.wall_s,
        run.cpu_s,
        run.memory_mb,
    )


def main(fd: int) -> None:
    """Serves the pool until it hangs up. Answers each job with a Verdict, or with the message of a failure (str)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the pool's to handle
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))  # the caller's is not meant for the files of a jail's root
    link = socket.socket(fileno=fd)
    worker = Worker(receive(link), link)
    send(link, "ready")
    try:
        while True:
            job = receive(link)
            try:
                answer: Verdict | str = worker.verify(job)
            except (JailBroken, SandboxError) as error:
                worker.close()
                answer = str(error)
            except Exception as error:  # a fault of ours: say so rather than die silently
                traceback.print_exc()
                worker.close()
                answer = f"the worker failed: {error!r}"
            send(link, answer)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    finally:
        worker.close()
        for group in worker.cgroups.values():
            if group:
                group.remove()

"""The pool: many jobs, one worker process per core, every verdict right or marked as the sandbox's own failure.

    with Pool([languages.load("lua")]) as pool:
        future = pool.submit(job)          # a Future[Verdict], done as soon as the program is judged
        verdicts = pool.verify(jobs)       # in the order of the jobs
        for index, verdict in pool.as_verified(jobs): ...

One thread per worker takes jobs from a queue, so a slow worker holds up nobody. A worker that dies, or is silent for
longer than its job can take, is replaced; its job is tried again on the new one, and after RETRIES more failures it
gets `infrastructure_error`.
"""

from __future__ import annotations

import itertools
import os
import queue
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from languages import Language
from sandbox import cgroup, protection, rootfs
from sandbox.driver.binaries import Binaries, Level
from sandbox.driver.messages import LONGEST_WAIT_S
from sandbox.executor import RETRIES, Executor, Task
from sandbox.jail import Toolchain
from sandbox.job import Job, SandboxError, Status, Verdict
from sandbox.worker import Setup, receive, send

GRACE_S = 30.0  # how much longer than its deadlines a job may take before its worker is replaced, seconds
STOP_S = 5.0  # for a worker to end by itself, seconds
START_S = 60.0  # for a worker to start, seconds
BOOT = "import sys; sys.path.insert(0, sys.argv[2]); from sandbox.worker import main; main(int(sys.argv[1]))"

_serial = itertools.count()  # tells cgroups apart, also those of two pools of one process


def toolchain(language: Language, bare: bool = False) -> Toolchain:
    """What a worker needs of a language; builds its root file system if it is not in the cache and not `bare`."""
    root = None if bare else rootfs.ensure(language)
    return Toolchain(
        language.name,
        str(root.path) if root else "/",
        tuple(root.env.items()) if root else (),
        language.filename,
        language.compile,
        language.execute,
        language.limits,
        language.warm,
    )


class Pool(Executor):
    """Verifies programs in the given languages. Raises SandboxError where the sandbox cannot work."""

    def __init__(
        self,
        languages: Iterable[Language | Toolchain],
        workers: int | None = None,
        use_cgroups: bool = True,
        unprotected: bool = False,
        level: Level | None = None,
    ):
        """Builds the languages' root file systems where they are not in the cache.

        `workers`: None means one per core. `use_cgroups=False` bounds memory per process instead of in total.
        `unprotected=True`: where no jail can be had, run programs as plain processes (sandbox/bare.py).
        `level`: how programs are kept apart; None means the best way that works here.
        """
        cgroup.remove_stale()
        found = protection.find(use_cgroups, level)
        self.binaries: Binaries | None = found.binaries
        if self.binaries is None:
            if not unprotected:
                raise SandboxError(
                    f"programs would run without protection: {found.why}; Pool(..., unprotected=True) runs them anyway"
                )
            print(f"sandbox: programs run as plain processes: {found.why}", file=sys.stderr)
        elif found.why:
            print(
                f"sandbox: programs are kept apart at the level {self.binaries.level} ({found.why}); "
                "`python -m sandbox.check` says what it does not promise",
                file=sys.stderr,
            )
        bare = self.binaries is None
        chains = (x if isinstance(x, Toolchain) else toolchain(x, bare) for x in languages)
        self.toolchains = {chain.language: chain for chain in chains}
        super().__init__({name: chain.limits for name, chain in self.toolchains.items()})
        self.use_cgroups = use_cgroups and not bare
        self._queue: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        cores = sorted(os.sched_getaffinity(0))
        self.workers = workers or len(cores)
        # Where all cores are busy, moving a program's short processes between them takes a sixth of the speed. With
        # fewer workers the kernel had better choose: another pool's may begin on the same cores.
        self.cores: list[int | None] = [*cores] if self.workers == len(cores) else [None] * self.workers
        self._workers = [_Worker(self, n) for n in range(self.workers)]
        try:
            for worker in self._workers:
                worker.started()
        except BaseException:
            self.close()
            raise
        for worker in self._workers:
            worker.thread.start()

    @property
    def pids(self) -> list[int]:
        """The workers' process ids, to watch what they take; a worker that is replaced has another."""
        return [worker.process.pid for worker in self._workers]

    def _enqueue(self, task: Task) -> None:
        self._queue.put(task)

    def close(self) -> None:
        """Ends every worker and all inside; verdicts still pending are cancelled. May be called twice."""
        self._cancel_pending()
        for worker in self._workers:
            self._queue.put(None)
            worker.hang_up()
        for worker in self._workers:
            if worker.thread.ident:
                worker.thread.join()
            worker.stop()


class _Worker:
    """A worker process and the thread that feeds it."""

    def __init__(self, pool: Pool, number: int):
        self.pool = pool
        self.number = number
        self.thread = threading.Thread(target=self._serve, name=f"sandbox-{number}", daemon=True)
        self._start()

    def _start(self) -> None:
        pool = self.pool
        name = f"{os.getpid()}-{self.number}-{next(_serial)}"
        self.cgroup = name if pool.use_cgroups else None
        self.link, theirs = socket.socketpair()
        with theirs:
            root = str(Path(__file__).parents[1])
            self.process = subprocess.Popen(
                [sys.executable, "-S", "-I", "-c", BOOT, str(theirs.fileno()), root],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # the terminal's Ctrl-C is for us
            )
        self.link.settimeout(START_S)
        send(self.link, Setup(self.number, self.cgroup, pool.toolchains, pool.binaries, pool.cores[self.number]))

    def started(self) -> None:
        """Waits until the process is up."""
        try:
            receive(self.link)
        except (EOFError, OSError) as error:
            raise SandboxError(f"a sandbox worker does not start: {error!r}") from error

    def hang_up(self) -> None:
        """The worker notices, even in the middle of a program, and ends."""
        with suppress(OSError):
            self.link.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """Returns when the process and all that it started are gone."""
        self.hang_up()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:  # stopped, or stuck: nsjail and all inside go with it
            self.process.kill()
            self.process.wait()
        self.link.close()
        if self.cgroup:
            cgroup.remove_named(self.cgroup)

    def _serve(self) -> None:
        while (task := self.pool._queue.get()) is not None:
            if self.pool._closed:
                return
            try:
                verdict = self._verify(task.job)
            except BaseException as error:  # whatever it is, nobody may wait for ever
                traceback.print_exc()
                verdict = Verdict(task.job.id, Status.INFRASTRUCTURE_ERROR, message=f"the pool failed: {error!r}")
            if self.pool._closed:
                return
            self.pool._finish(task, verdict)

    def _verify(self, job: Job) -> Verdict:
        limits = self.pool.limits(job)
        longest = limits.longest_s(len(job.tests)) + GRACE_S
        if job.compare.checker:
            limits = self.pool.toolchains[job.compare.checker.language].limits
            longest += len(job.tests) * 2 * limits.longest_s(1)  # a checker that fails is asked about the reference too
        why = ""
        for _ in range(1 + RETRIES):
            if self.pool._closed:
                break
            try:
                self.link.settimeout(min(longest, LONGEST_WAIT_S))
                send(self.link, job)
                answer = receive(self.link)
                if isinstance(answer, Verdict):
                    return answer
                why = answer
            except TimeoutError:
                why = f"its worker was silent for {longest:.0f} s"
            except (EOFError, OSError) as error:
                why = f"its worker has gone ({error!r})"
            if self.pool._closed:
                break
            try:
                self.stop()
                self._start()
                self.started()
            except (SandboxError, OSError) as error:
                why = str(error)
        return Verdict(job.id, Status.INFRASTRUCTURE_ERROR, message=f"job {job.id!r} failed {1 + RETRIES} times: {why}")

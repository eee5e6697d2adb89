"""What every executor does wherever its programs run: checks jobs, hands out futures, runs equal jobs once.

sandbox/pool.py runs them on this machine, sandbox/ray_pool.py on the nodes of a Ray cluster.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, wait
from dataclasses import fields, replace
from functools import partial
from typing import Any, Self

from base.limits import Limits
from sandbox.compare import RULES
from sandbox.jail import INPUT_MB
from sandbox.job import Job, JobError, SandboxError, Verdict

RETRIES = 2  # how often a job is tried again after the sandbox itself has failed
LARGEST_LIMIT = 1_000_000  # of any unit: fits the driver's numbers


class Task:
    """A job and all who wait for its verdict."""

    def __init__(self, job: Job, key: tuple[Any, ...]):
        self.job = job
        self.key = key
        self.waiting: list[tuple[str, Future[Verdict]]] = []


class Executor:
    """Verifies programs. A subclass says how in `_enqueue`, and calls `_finish` with the verdict, from any thread."""

    def __init__(self, limits: dict[str, Limits]):
        """`limits`: of each language that can be run."""
        self._limits = limits
        self._lock = threading.Lock()
        self._pending: dict[tuple[Any, ...], Task] = {}
        self._closed = False

    def _enqueue(self, task: Task) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def submit(self, job: Job) -> Future[Verdict]:
        """Queues a job. Equal programs with equal tests that wait at the same time run once.

        Raises JobError for a job that can have no verdict: no tests, an unknown language or rule.
        """
        self.check(job)
        return self._submit(job, _key(job))

    def _submit(self, job: Job, key: tuple[Any, ...]) -> Future[Verdict]:
        future: Future[Verdict] = Future()
        with self._lock:
            if self._closed:
                raise SandboxError("the pool is closed")
            task = self._pending.get(key)
            if task is None:
                task = self._pending[key] = Task(job, key)
                self._enqueue(task)
            task.waiting.append((job.id, future))
        return future

    def verify(self, jobs: Iterable[Job]) -> list[Verdict]:
        """The verdicts, in the order of the jobs."""
        futures = self._submit_all(jobs)
        wait(futures)  # woken up once; waiting for each by itself would be once per job
        return [future.result() for future in futures]

    def as_verified(self, jobs: Iterable[Job]) -> Iterator[tuple[int, Verdict]]:
        """(index of the job, verdict), as they finish."""
        done: queue.SimpleQueue[tuple[int, Future[Verdict]]] = queue.SimpleQueue()
        futures = self._submit_all(jobs)
        for index, future in enumerate(futures):
            future.add_done_callback(partial(_put, done, index))
        for _ in futures:
            index, future = done.get()
            yield index, future.result()

    def _submit_all(self, jobs: Iterable[Job]) -> list[Future[Verdict]]:
        """One future per job; equal jobs of the batch run once, even if the first is done before the second comes."""
        jobs = list(jobs)
        for job in jobs:
            self.check(job)  # all or none
        tasks: dict[tuple[Any, ...], Future[Verdict]] = {}
        futures: list[Future[Verdict]] = []
        for job in jobs:
            first = tasks.get(key := _key(job))
            if first is None:
                future = tasks[key] = self._submit(job, key)
            else:
                future = Future()
                first.add_done_callback(partial(_copy, future, job.id))
            futures.append(future)
        return futures

    def pending(self) -> list[str]:
        """The ids of the jobs that have no verdict yet."""
        with self._lock:
            return [job_id for task in self._pending.values() for job_id, _ in task.waiting]

    def check(self, job: Job) -> None:
        """Raises JobError for a job that can have no verdict."""
        if not job.tests:
            raise JobError(f"job {job.id!r} has no tests: nothing could fail, so nothing can pass")
        if job.compare.rule not in RULES:
            raise JobError(f"job {job.id!r}: no comparison rule {job.compare.rule!r}; the rules are {', '.join(RULES)}")
        languages = [job.language]
        if job.compare.rule == "checker":
            if job.compare.checker is None:
                raise JobError(f"job {job.id!r}: the rule checker needs a checker program")
            languages.append(job.compare.checker.language)
        for language in languages:
            if language not in self._limits:
                known = ", ".join(sorted(self._limits))
                raise JobError(f"job {job.id!r}: the pool has no language {language!r}; it has {known}")
        for field in fields(Limits):
            value = getattr(self.limits(job), field.name)
            if value is not None and not 0 < value <= LARGEST_LIMIT:
                raise JobError(f"job {job.id!r}: limit {field.name} is {value}, not within 0 to {LARGEST_LIMIT}")
        for n, test in enumerate(job.tests):
            if len(test.input) <= INPUT_MB * 2**18:  # a character has four bytes at most
                continue
            if (size := len(test.input.encode(errors="replace")) / 2**20) > INPUT_MB:
                raise JobError(
                    f"job {job.id!r}: the input of test {n} is {size:.0f} MiB, and the sandbox takes no more than "
                    f"{INPUT_MB}: leave that test out"
                )

    def limits(self, job: Job) -> Limits:
        return job.limits or self._limits[job.language]

    def _finish(self, task: Task, verdict: Verdict) -> None:
        with self._lock:
            if self._pending.get(task.key) is task:
                del self._pending[task.key]
            waiting, task.waiting = task.waiting, []
        for job_id, future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_result(replace(verdict, id=job_id))

    def _cancel_pending(self) -> None:
        """From now on no job is accepted, and those that have no verdict get none."""
        with self._lock:
            self._closed = True
            futures = [future for task in self._pending.values() for _, future in task.waiting]
            for task in self._pending.values():
                task.waiting = []
            self._pending.clear()
        for future in futures:
            _cancel(future)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _key(job: Job) -> tuple[Any, ...]:
    return (job.language, job.program, job.tests, job.compare, job.limits, job.all_tests, job.shown)


def _put(done: queue.SimpleQueue[tuple[int, Future[Verdict]]], index: int, future: Future[Verdict]) -> None:
    done.put((index, future))


def _cancel(future: Future[Verdict]) -> None:
    """Wakes up all who wait for it, too: `cancel` alone does not, if they wait by `concurrent.futures.wait`."""
    if future.cancel():
        future.set_running_or_notify_cancel()


def _copy(to: Future[Verdict], job_id: str, first: Future[Verdict]) -> None:
    if first.cancelled():
        _cancel(to)
    elif to.set_running_or_notify_cancel():
        to.set_result(replace(first.result(), id=job_id))

"""Jobs on their way from a request to their verdict: how many there may be, whose turn it is, and until when.

The executor is only ever handed a few jobs more than it has workers. The others wait here, where those of a client that
has gone, or whose deadline has passed, are dropped without having run, and where a large batch does not hold up a small
one: requests take turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress

from starlette.requests import ClientDisconnect, Request

from sandbox.executor import Executor
from sandbox.job import Job, SandboxError, Status, Verdict
from sandbox.serve.metrics import Metrics

SLOTS = 2  # jobs handed to the executor for each of its workers: the next is at hand when one is judged


class Full(Exception):
    """The queue has no room now: the client may try again later."""


class TooMany(Exception):
    """The queue could never hold the jobs of this request: the client may send them in several."""


class Admission:
    """All jobs of the service that have no verdict yet. To be used in one event loop."""

    def __init__(self, executor: Executor, workers: int, most: int, longest_s: float, metrics: Metrics):
        """`most`: jobs that may be on their way at once; `longest_s`: what any program gets by the clock."""
        self.executor = executor
        self.most = most
        self.longest_s = longest_s
        self.metrics = metrics
        self.slots = SLOTS * workers
        self.pending = 0
        self._free = asyncio.Semaphore(self.slots)

    def admit(self, jobs: Sequence[Job], deadline_s: float) -> Batch:
        """Begins to judge the jobs of one request. Raises Full, TooMany where they do not all fit into the queue."""
        if len(jobs) > self.most:
            raise TooMany(f"the queue holds {self.most} jobs, and this request has {len(jobs)}: send them in several")
        if self.pending + len(jobs) > self.most:
            raise Full(f"the queue holds {self.pending} of {self.most} jobs, and has no room for {len(jobs)} more")
        return Batch(self, jobs, deadline_s)

    async def judge(self, job: Job, ends: float, deadline_s: float) -> Verdict:
        """The verdict; where none is known by `ends` (the loop's time), an infrastructure error."""
        try:
            async with asyncio.timeout_at(ends):
                await self._free.acquire()
                future = self._submit(job)
                await asyncio.wait([future])  # does not cancel it: the program would run on all the same
        except TimeoutError:
            return _none(job, f"no verdict within the request's deadline of {deadline_s:g} s")
        except SandboxError as error:
            return _none(job, str(error))
        if future.cancelled():
            return _none(job, "the service stops")
        verdict = future.result()
        if job.limits and job.limits.program_s == self.longest_s and _cut_short(verdict, self.longest_s):
            return _none(job, f"the program was ended at the {self.longest_s:g} s that this service gives to any")
        return verdict

    def _submit(self, job: Job) -> asyncio.Future[Verdict]:
        """Hands a job to the executor. Its slot is free again when it is judged, whoever still waits for it."""
        loop = asyncio.get_running_loop()

        def release(_: Future[Verdict]) -> None:
            with suppress(RuntimeError):  # the loop is closed: the service has stopped
                loop.call_soon_threadsafe(self._free.release)

        try:
            future = self.executor.submit(job)
        except BaseException:
            self._free.release()
            raise
        future.add_done_callback(release)
        return asyncio.wrap_future(future)


class Batch:
    """The jobs of one request. Iterating yields (index, verdict) as they are judged, one for every job.

    They are judged whether or not somebody iterates; an iteration that is given up drops those not yet begun.
    """

    def __init__(self, admission: Admission, jobs: Sequence[Job], deadline_s: float):
        self._admission = admission
        self._jobs = jobs
        self._deadline_s = deadline_s
        self._ends = asyncio.get_running_loop().time() + deadline_s
        self._verdicts: asyncio.Queue[tuple[int, Verdict]] = asyncio.Queue()
        self._left = len(jobs)
        self._count(+len(jobs))
        self._task = asyncio.create_task(self._judge())
        self._task.add_done_callback(lambda _: self._count(-self._left))  # also where it was cancelled before it ran

    async def _judge(self) -> None:
        todo = iter(enumerate(self._jobs))
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._admission.slots, len(self._jobs))):
                group.create_task(self._judge_each(todo))

    async def _judge_each(self, todo: Iterator[tuple[int, Job]]) -> None:
        metrics, loop = self._admission.metrics, asyncio.get_running_loop()
        for index, job in todo:
            began = loop.time()
            try:
                verdict = await self._admission.judge(job, self._ends, self._deadline_s)
            except Exception as error:  # whatever it is, nobody may wait for ever
                verdict = _none(job, f"the service failed: {error!r}")
            metrics.judged(job.language, verdict.status, loop.time() - began)
            self._left -= 1
            self._count(-1)
            self._verdicts.put_nowait((index, verdict))

    def _count(self, jobs: int) -> None:
        self._admission.pending += jobs
        self._admission.metrics.pending.set(self._admission.pending)

    async def __aiter__(self) -> AsyncGenerator[tuple[int, Verdict], None]:
        try:
            for _ in self._jobs:
                yield await self._verdicts.get()
        finally:
            self._task.cancel()

    async def drop(self) -> None:
        """Gives up the jobs that have not begun: also where the client went before anybody iterated."""
        self._task.cancel()

    async def verdicts(self, request: Request) -> list[Verdict]:
        """All of them, in the order of the jobs. Raises ClientDisconnect where the client goes before."""
        found = asyncio.create_task(self._all())
        gone = asyncio.create_task(_gone(request))
        try:
            await asyncio.wait((found, gone), return_when=asyncio.FIRST_COMPLETED)
            if not found.done():
                raise ClientDisconnect
            return found.result()
        finally:
            found.cancel()
            gone.cancel()

    async def _all(self) -> list[Verdict]:
        found = dict([pair async for pair in self])
        return [found[index] for index in range(len(self._jobs))]


async def _gone(request: Request) -> None:
    """Returns when the client has gone. The request's body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _cut_short(verdict: Verdict, program_s: float) -> bool:
    """Whether a timeout is for want of time for the whole program, and not of a test's own."""
    spent = 0.0
    for run in (verdict.compile, *verdict.tests) if verdict.status is Status.TIMEOUT else ():
        spent += run.wall_s if run else 0.0
        if run and run.status is not Status.PASSED:
            return spent >= 0.99 * program_s  # the driver's own clock and rounding
    return False


def _none(job: Job, why: str) -> Verdict:
    return Verdict(job.id, Status.INFRASTRUCTURE_ERROR, message=why)

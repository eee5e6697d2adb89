"""Jobs between a request and its verdict: whose turn it is, and what becomes of those that nobody waits for."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from base.limits import Limits
from sandbox.jail import Toolchain
from sandbox.job import Job, Status, Test, Verdict
from sandbox.pool import Pool
from sandbox.serve.admission import Admission
from sandbox.serve.metrics import Metrics


def waiting(number: int, seconds: float) -> Job:
    return Job(str(number), "sh", f"sleep {seconds}; echo {number}", (Test("", str(number)),))


def test_a_small_request_overtakes_a_large_one(pool: Pool) -> None:
    async def both() -> list[str]:
        admission, order = Admission(pool, 1, 100, 60.0, Metrics(1)), []

        async def collect(name: str, jobs: list[Job]) -> None:
            async for _, verdict in admission.admit(jobs, 60):
                assert verdict.passed
                order.append(name)

        large = asyncio.create_task(collect("large", [waiting(n, 0.05) for n in range(20)]))
        await asyncio.sleep(0.01)
        await asyncio.gather(large, collect("small", [waiting(100, 0.05)]))
        return order

    assert asyncio.run(both()).index("small") < 10


def test_what_nobody_waits_for_any_more_is_not_begun(pool: Pool) -> None:
    async def give_up() -> None:
        admission = Admission(pool, 1, 100, 60.0, Metrics(1))
        verdicts = aiter(admission.admit([waiting(n, 0.2) for n in range(30)], 60))
        await anext(verdicts)
        assert admission.pending == 29
        await verdicts.aclose()
        await asyncio.sleep(0.1)
        assert admission.pending == 0
        began = time.monotonic()
        [(_, verdict)] = [pair async for pair in admission.admit([waiting(100, 0)], 60)]
        assert verdict.passed and time.monotonic() - began < 4  # not the 6 s of all

    asyncio.run(give_up())


def test_jobs_of_a_client_that_has_gone_are_dropped(pool: Pool) -> None:
    async def leave() -> None:
        admission = Admission(pool, 1, 100, 60.0, Metrics(1))
        begun = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await begun.wait()
            return {"type": "http.disconnect"}

        batch = admission.admit([waiting(n, 0.2) for n in range(30)], 60)
        answer = asyncio.create_task(batch.verdicts(Request({"type": "http"}, receive)))
        await asyncio.sleep(0.5)
        assert not answer.done()
        begun.set()
        with pytest.raises(ClientDisconnect):
            await answer
        await asyncio.sleep(0.1)
        assert admission.pending == 0

    asyncio.run(leave())


def test_a_pool_that_closes_leaves_nobody_waiting(lua: Toolchain) -> None:
    async def close() -> None:
        pool = Pool([lua], workers=1)
        jobs = [Job(str(n), "lua", f"while true do end -- {n}", (Test("", ""),)) for n in range(5)]
        batch = Admission(pool, 1, 100, 60.0, Metrics(1)).admit(jobs, 60)
        await asyncio.sleep(0.1)
        await asyncio.to_thread(pool.close)
        assert {verdict.status async for _, verdict in batch} == {Status.INFRASTRUCTURE_ERROR}

    asyncio.run(close())


def test_a_program_that_the_service_cuts_short_has_no_verdict(pool: Pool) -> None:
    def sleeping(**limits: Any) -> Job:
        return replace(waiting(1, 0.5), tests=(Test("", "1"),) * 4, limits=replace(Limits(), **limits))

    async def judged(job: Job) -> Verdict:
        [(_, verdict)] = [pair async for pair in Admission(pool, 1, 100, 1.2, Metrics(1)).admit([job], 60)]
        return verdict

    assert asyncio.run(judged(sleeping(program_s=1.0))).status is Status.TIMEOUT  # the job's own limit
    endless = replace(sleeping(program_s=1.2, test_s=0.2), program="while :; do :; done")
    assert asyncio.run(judged(endless)).status is Status.TIMEOUT
    cut = asyncio.run(judged(sleeping(program_s=1.2)))
    assert cut.message == "the program was ended at the 1.2 s that this service gives to any"

"""The service's pages: /verify in the verifier's own words, SandboxFusion's two, and what operators ask for."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.background import BackgroundTask
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect

from base import jsonl
from base.errors import UserError
from sandbox import verify
from sandbox.executor import Executor
from sandbox.job import Job, JobError
from sandbox.serve import fusion
from sandbox.serve.admission import Admission, Full, TooMany
from sandbox.serve.guard import Guard
from sandbox.serve.metrics import Metrics
from sandbox.serve.schema import ANSWERS, JOBS

NDJSON = "application/x-ndjson"
MOST_TESTS = 1000  # of one job: each has a result that is kept until the answer is sent
LOCAL = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Service:
    """How a service is set up."""

    verify: verify.Arguments  # languages, the first is the default; all_tests
    workers: int
    token: str | None = None  # None: only for requests to this machine by its local name
    queue: int = 10_000  # jobs without a verdict, of all requests together
    deadline_s: float = 600.0  # of a request, and of any program in it, by the clock
    request_mb: float = 16.0  # MiB


def build(executor: Executor, service: Service) -> FastAPI:
    """The ASGI application. It does not own the executor."""
    metrics = Metrics(service.workers)
    admission = Admission(executor, service.workers, service.queue, service.deadline_s, metrics)
    app = FastAPI(title="Agnostics verifier", description=__doc__, redoc_url=None)
    app.add_middleware(Guard, token=service.token, body_bytes=round(service.request_mb * 2**20), metrics=metrics)
    if not service.token:  # a web page that has renamed itself to 127.0.0.1 may not use this service
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOCAL))

    @app.exception_handler(UserError)
    async def refuse(_: Request, error: UserError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 422)

    @app.exception_handler(Full)
    async def put_off(_: Request, error: Full) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 429, {"retry-after": "1"})

    @app.exception_handler(TooMany)
    async def split(_: Request, error: TooMany) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 413)

    @app.exception_handler(ClientDisconnect)
    async def leave(_: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=499)  # nobody reads it

    def checked(job: Job) -> Job:
        """The job, its program bounded by the service's deadline. Raises JobError."""
        executor.check(job)
        if len(job.tests) > MOST_TESTS:
            raise JobError(f"job {job.id!r} has {len(job.tests)} tests, and the service takes {MOST_TESTS} at most")
        limits = executor.limits(job)
        longest = min(limits.program_s or service.deadline_s, service.deadline_s)
        return replace(job, limits=replace(limits, program_s=longest))

    deadline: Any = Query(service.deadline_s, gt=0, le=service.deadline_s, description="seconds of the whole request")

    @app.post("/verify", openapi_extra={"requestBody": JOBS}, responses=ANSWERS)
    async def verify_jobs(request: Request, deadline_s: float = deadline) -> Response:
        """Judges a job, a list of jobs, or JSON lines; answers with a verdict, a list, or lines as they are known.

        A job that has no verdict at the deadline gets the status infrastructure_error, which is no reward.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in ("application/json", NDJSON):
            return JSONResponse({"detail": f"the content type is application/json or {NDJSON}, not {kind!r}"}, 415)
        body = await request.body()
        if kind == NDJSON:
            numbers, jobs, errors = await asyncio.to_thread(_lines, body, service.verify, checked, service.queue)
            batch = admission.admit(jobs, deadline_s)

            async def answers() -> AsyncIterator[str]:
                for row in errors:
                    yield json.dumps(row) + "\n"
                async for index, verdict in batch:
                    yield json.dumps({"line": numbers[index]} | verify.to_row(verdict)) + "\n"

            return StreamingResponse(answers(), media_type=NDJSON, background=BackgroundTask(batch.drop))
        many, jobs = await asyncio.to_thread(_jobs, body, service.verify, checked)
        verdicts = await admission.admit(jobs, deadline_s).verdicts(request)
        rows = [verify.to_row(verdict) for verdict in verdicts]
        return JSONResponse(rows if many else rows[0])

    app.include_router(fusion.router(service.verify, admission, checked, service.deadline_s))

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Whether the service answers, and for which languages."""
        return {"status": "ok", "languages": [language.name for language in service.verify.languages]}

    @app.get("/metrics")
    async def show_metrics() -> Response:
        """For Prometheus."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    return app


def _jobs(body: bytes, arguments: verify.Arguments, checked: Callable[[Job], Job]) -> tuple[bool, list[Job]]:
    """(whether the body is a list, its jobs). Raises DataError and JobError: one bad job, and none is judged."""
    value = jsonl.decoded(body)
    if not isinstance(value, list):
        return False, [checked(verify.parse_job(body, "the job", arguments))]
    rows = enumerate(value)
    return True, [checked(verify.to_job(row, f"job {number}", arguments)) for number, row in rows]


def _lines(
    body: bytes, arguments: verify.Arguments, checked: Callable[[Job], Job], most: int
) -> tuple[list[int], list[Job], list[dict[str, Any]]]:
    """(numbers of the lines with a job, those jobs, an answer for each line that holds no job).

    Raises TooMany for more than `most` lines.
    """
    numbers: list[int] = []
    jobs: list[Job] = []
    errors: list[dict[str, Any]] = []
    for number, line in enumerate(io.BytesIO(body), start=1):
        if jsonl.without_mark(line).strip():
            if len(jobs) + len(errors) == most:
                raise TooMany(f"the queue holds {most} jobs, and this request has more lines: send them in several")
            try:
                jobs.append(checked(verify.parse_job(line, f"line {number}", arguments)))
                numbers.append(number)
            except UserError as error:
                errors.append({"line": number, "error": str(error)})
    return numbers, jobs, errors

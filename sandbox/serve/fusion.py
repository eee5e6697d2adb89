"""SandboxFusion's /run_code and /submit, so that its clients (the package sandbox-fusion, verl) work unchanged.

What they ask for and we do not have is refused with 422 rather than left out: files beside the program, fetched files,
arguments, extraction code, and data sets other than tests that come with the request (its CommonOJDataset). Outputs
are compared by our rules, `decimal` unless config.extra.compare says another; theirs would also take a number that is
off by 1e-5, and upper case for lower.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from base import jsonl
from base.errors import DataError
from base.text import plain
from languages import Language
from sandbox import verify
from sandbox.answer import extract
from sandbox.job import Compare, Job, Status, Test, TestResult, Verdict
from sandbox.job_rows import check_output, check_text, parse_compare, parse_tests
from sandbox.serve.admission import Admission

NAMES = {"nodejs": "javascript", "R": "r"}  # SandboxFusion's names -> ours, where they differ


class RunCodeRequest(BaseModel):
    code: str
    language: str
    stdin: str | None = None
    compile_timeout: float = Field(10, gt=0, description="seconds")
    run_timeout: float = Field(10, gt=0, description="seconds: of CPU time, and by the clock while it uses none")
    memory_limit_MB: int | None = Field(None, description="MiB; none, or -1: the language's own")
    files: dict[str, str | None] = {}
    fetch_files: list[str] = []
    args: list[str] = []


class CommandRunResult(BaseModel):
    status: Literal["Finished", "Error", "TimeLimitExceeded"]
    execution_time: float | None = None
    return_code: int | None = None
    stdout: str | None = None
    stderr: str | None = None


class RunCodeResponse(BaseModel):
    status: Literal["Success", "Failed", "SandboxError"]
    message: str = ""
    compile_result: CommandRunResult | None = None
    run_result: CommandRunResult | None = None
    executor_pod_name: str | None = None
    files: dict[str, str] = {}


class TestConfig(BaseModel):
    dataset_type: str | None = None
    language: str | None = None
    compile_timeout: float | None = Field(None, gt=0)
    run_timeout: float | None = Field(None, gt=0)
    custom_extract_logic: str | None = None
    provided_data: dict[str, Any] | list[dict[str, Any]] | None = None
    extra: dict[str, Any] = {}


class SubmitRequest(BaseModel):
    dataset: str
    id: int | str
    completion: str
    config: TestConfig


class EvalTestCase(BaseModel):
    passed: bool
    exec_info: RunCodeResponse
    test_info: dict[str, Any] | None = None


class EvalResult(BaseModel):
    id: int | str
    accepted: bool
    extracted_code: str
    full_code: str | None = None
    test_code: str | None = None
    tests: list[EvalTestCase]
    extracted_type: Literal["fenced", "empty"] | None = None
    extra: dict[str, Any] | None = None


def router(
    arguments: verify.Arguments, admission: Admission, checked: Callable[[Job], Job], deadline_s: float
) -> APIRouter:
    routes = APIRouter(tags=["SandboxFusion"])
    served = {language.name: language for language in arguments.languages}

    def language(name: str | None) -> Language:
        found = served.get(NAMES.get(name or "", name or ""))
        if found is None:
            raise DataError(f"language {name!r} is not one of those served: {', '.join(served)}")
        return found

    async def judge(job: Job, caller: Request) -> Verdict:
        return (await admission.admit([checked(job)], deadline_s).verdicts(caller))[0]

    @routes.post("/run_code")
    async def run_code(request: RunCodeRequest, caller: Request) -> RunCodeResponse:
        """Runs a program on one input; nothing is compared."""
        for key in ("files", "fetch_files", "args"):
            if getattr(request, key):
                raise DataError(f"this service does not have {key!r}: a program gets its input on stdin")
        chosen = language(request.language)
        for key in ("code", "stdin"):
            check_text(getattr(request, key) or "", f"key {key!r}")
        limits = replace(
            chosen.limits,
            compile_s=request.compile_timeout,
            test_s=request.run_timeout,
            wall_s=request.run_timeout,
            memory_mb=memory_mb if (memory_mb := request.memory_limit_MB or 0) > 0 else chosen.limits.memory_mb,
        )
        tests, whole = (Test(request.stdin or "", ""),), round(limits.output_mb * 2**20)
        job = Job("run_code", chosen.name, plain(request.code), tests, Compare("exit_code"), limits, shown=whole)
        verdict = await judge(job, caller)
        return _response(verdict, verdict.tests[0] if verdict.tests else None)

    @routes.post("/submit")
    async def submit(request: SubmitRequest, caller: Request) -> EvalResult:
        """Judges a model's answer by config.provided_data.test: a list of {input: {stdin}, output: {stdout}}."""
        config, data = request.config, request.config.provided_data
        if config.custom_extract_logic:
            raise DataError("this service runs no custom_extract_logic")
        if not isinstance(data, dict) or config.dataset_type not in (None, "CommonOJDataset"):
            raise DataError("this service has no data sets: give config.provided_data in the form of CommonOJDataset")
        cases = data.get("test")
        if isinstance(cases, str):  # as in a column of a data set
            cases = jsonl.decoded(cases.encode(errors="replace"))
        if not isinstance(cases, list) or not all(_is_case(case) for case in cases):
            raise DataError("config.provided_data.test must be a list of {input: {stdin: ...}, output: {stdout: ...}}")
        chosen = language(config.language)
        rows = [{"input": case["input"]["stdin"], "output": case["output"]["stdout"]} for case in cases]
        limits = replace(
            chosen.limits,
            compile_s=config.compile_timeout or chosen.limits.compile_s,
            test_s=config.run_timeout or chosen.limits.test_s,
            wall_s=config.run_timeout or chosen.limits.wall_s,
        )
        check_text(request.completion, "key 'completion'")
        program = await asyncio.to_thread(extract, request.completion, chosen)
        compare = parse_compare(config.extra.get("compare", {"rule": "decimal"}), "config.extra")
        all_tests = bool(config.extra.get("run_all_cases"))
        tests = parse_tests(rows, "config.provided_data")
        check_output(str(request.id), compare, tests, limits, "config.provided_data")
        job = Job(str(request.id), chosen.name, program, tests, compare, limits, all_tests)
        verdict = await judge(job, caller)
        results = verdict.tests or (None,)  # one that did not compile has a case as well, which says so
        return EvalResult(
            id=request.id,
            accepted=verdict.passed,
            extracted_code=program or "",
            full_code=program,
            tests=[
                EvalTestCase(
                    passed=bool(result and result.status is Status.PASSED),
                    exec_info=_response(verdict, result),
                    test_info=case,
                )
                for result, case in zip(results, cases, strict=False)
            ],
            extracted_type="empty" if program is None else "fenced",
            extra={"status": str(verdict.status), "message": verdict.message},
        )

    return routes


def _is_case(case: Any) -> bool:
    if not isinstance(case, dict) or set(case) != {"input", "output"}:
        return False
    given, expected = case["input"], case["output"]
    # other names than the streams' are files, which no program of ours has
    return (
        isinstance(given, dict)
        and isinstance(expected, dict)
        and (set(given), set(expected)) == ({"stdin"}, {"stdout"})
    )


def _response(verdict: Verdict, result: TestResult | None) -> RunCodeResponse:
    """The run of one test in SandboxFusion's words: it failed where its program did not end by itself with code 0."""
    compiled = verdict.compile
    status: Literal["Success", "Failed", "SandboxError"] = "Failed"
    if Status.INFRASTRUCTURE_ERROR in (verdict.status, result and result.status):
        status = "SandboxError"
    elif result and result.status in (Status.PASSED, Status.WRONG_OUTPUT):
        status = "Success"
    worst = result.status if result else verdict.status
    return RunCodeResponse(
        status=status,
        message="" if status == "Success" else verdict.message or str(worst),
        compile_result=_command(compiled) if compiled else None,
        run_result=_command(result) if result else None,
    )


def _command(result: TestResult) -> CommandRunResult:
    late = result.status is Status.TIMEOUT
    code = -signal.SIGKILL if result.exit_code is None else result.exit_code  # their client wants one: it was killed
    return CommandRunResult(
        status="TimeLimitExceeded" if late else "Finished",
        execution_time=result.wall_s,
        return_code=None if late else code if result.signal is None else -result.signal,
        stdout=result.stdout,
        stderr=result.stderr,
    )

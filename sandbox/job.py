"""What goes into the sandbox and what comes out: tests, limits, jobs and verdicts. Plain data, no behaviour.

A job travels to a worker process; of a job, only the program and the tests' *inputs* ever enter the jail.
Expected outputs stay on the host, which compares (see `sandbox/compare.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from base.errors import UserError
from base.limits import Limits


class SandboxError(UserError):
    """The sandbox cannot do its work on this machine. The message is one sentence that says why and what to do."""


class JobError(UserError, ValueError):
    """A job that can have no verdict. The message is one sentence that names the job."""


class Status(StrEnum):
    """How a program fared. `INFRASTRUCTURE_ERROR` is the sandbox's own failure: never a reward, never a zero."""

    PASSED = "passed"
    WRONG_OUTPUT = "wrong_output"
    RUNTIME_ERROR = "runtime_error"
    COMPILE_ERROR = "compile_error"
    TIMEOUT = "timeout"
    OUTPUT_LIMIT = "output_limit"
    MEMORY_LIMIT = "memory_limit"
    NO_PROGRAM = "no_program"
    INFRASTRUCTURE_ERROR = "infrastructure_error"


class Test(NamedTuple):
    """One run of a program: what it reads and what it must print."""

    input: str
    output: str


@dataclass(frozen=True)
class Checker:
    """A judge for problems with several right outputs: a program in any of our languages, in a jail of its own."""

    language: str
    program: str


@dataclass(frozen=True)
class Compare:
    """How an output is compared with the expected one: a rule of `sandbox/compare.py`, or a checker program."""

    rule: str = "exact"  # exact | tokens | decimal | lines | float | exit_code | checker
    tolerance: float = 1e-6  # rule float: absolute or relative error
    checker: Checker | None = None  # rule checker


@dataclass(frozen=True)
class Job:
    """One program to verify."""

    id: str
    language: str
    program: str | None  # None: the completion held no program
    tests: Sequence[Test]  # hashable: equal jobs are run once
    compare: Compare = field(default_factory=Compare)
    limits: Limits | None = None  # None: the language's own
    all_tests: bool = False  # run every test even after one failed
    shown: int = 2000  # characters of an output that the verdict keeps


class TestResult(NamedTuple):
    """One test's outcome as far as it was run."""

    status: Status
    stdout: str = ""  # first lines
    stderr: str = ""  # first lines
    exit_code: int | None = None
    signal: int | None = None
    wall_s: float = 0.0
    cpu_s: float = 0.0
    memory_mb: float = 0.0  # peak, MiB


@dataclass(frozen=True)
class Verdict:
    """The outcome of a job: the status of the first failing test, or `PASSED`."""

    id: str
    status: Status
    tests: tuple[TestResult, ...] = ()
    compile: TestResult | None = None
    message: str = ""  # for people: why, in one sentence (infrastructure errors, missing program)

    @property
    def passed(self) -> bool:
        return self.status is Status.PASSED

    @property
    def tests_passed(self) -> int:
        return sum(test.status is Status.PASSED for test in self.tests)

    @property
    def first_failed(self) -> int | None:
        """The index of the first test that failed, of those that were run."""
        return next((n for n, test in enumerate(self.tests) if test.status is not Status.PASSED), None)

"""Checkers of a data set are programs that a model wrote: those that refuse the right outputs, or take none at all for
right, are left out."""

from __future__ import annotations

from collections.abc import Iterator

import languages
from problems.problem import Problem
from problems.sources.rows import Tally
from sandbox.job import Job, SandboxError, Status
from sandbox.pool import Pool, toolchain

REFUSED = "its checker refuses the reference outputs"
TAKEN = "its checker takes no output at all for a right one"


def sound(problems: Iterator[Problem], tally: Tally) -> Iterator[Problem]:
    """The problems, without those whose checker, run in a jail, refuses their own reference outputs or takes silence.

    What is left out moves to the dropped rows of `tally`. Raises SandboxError, RootfsError.
    """
    with Pool([toolchain(languages.load("python"))]) as pool:
        for problem in problems:
            if problem.compare.rule == "checker":
                if not _passes(replay(problem), pool):
                    tally.withdraw(problem, REFUSED)
                    continue
                silent = Job(problem.id, "python", "", problem.tests, problem.compare)
                if any(test.output.strip() for test in problem.tests) and _passes(silent, pool):
                    tally.withdraw(problem, TAKEN)
                    continue
            yield problem


def _passes(job: Job, pool: Pool) -> bool:
    """Raises SandboxError where the sandbox itself has failed; a checker that fails has a test to show for it."""
    verdict = pool.submit(job).result()
    if verdict.status is Status.INFRASTRUCTURE_ERROR and not verdict.tests:
        raise SandboxError(verdict.message)
    return verdict.passed


def replay(problem: Problem) -> Job:
    """A Python program that knows the reference outputs and prints them."""
    outputs = {test.input: test.output for test in problem.tests}
    program = f"import sys\nsys.stdout.write({outputs!r}[sys.stdin.read()])\n"
    return Job(problem.id, "python", program, problem.tests, problem.compare)

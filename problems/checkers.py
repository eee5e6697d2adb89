"""Checkers of a data set are programs that a model wrote: those that refuse the right outputs are left out."""

from __future__ import annotations

from collections.abc import Iterator

import languages
from problems.problem import Problem
from problems.sources.rows import Tally
from sandbox.job import Job, Status
from sandbox.pool import Pool, toolchain

REFUSED = "its checker refuses the reference outputs"


def sound(problems: Iterator[Problem], tally: Tally) -> Iterator[Problem]:
    """The problems, without those whose checker, run in a jail, refuses their own reference outputs.

    What is left out moves to the dropped rows of `tally`. Raises SandboxError, RootfsError.
    """
    with Pool([toolchain(languages.load("python"))]) as pool:
        for problem in problems:
            if problem.compare.rule == "checker":
                verdict = pool.submit(replay(problem)).result()
                if verdict.status is not Status.PASSED:
                    tally.withdraw(problem, REFUSED)
                    continue
            yield problem


def replay(problem: Problem) -> Job:
    """A Python program that knows the reference outputs and prints them."""
    outputs = {test.input: test.output for test in problem.tests}
    program = f"import sys\nsys.stdout.write({outputs!r}[sys.stdin.read()])\n"
    return Job(problem.id, "python", program, problem.tests, problem.compare)

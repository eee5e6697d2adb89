"""Runs an evaluation to its end: draws the answers that are missing, verifies each as it comes, keeps every row.

Three kinds of work may be left over from an evaluation that was stopped: answers never drawn, answers without a
verdict, and verdicts that were the sandbox's own failure. Only the first costs the model anything.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import Future
from queue import SimpleQueue

from base.progress import Progress
from policy.samplers.sampler import Sampling
from problems.problem import Problem
from problems.task import Prompt, Task
from rollout.draw import Answer, Generator
from rollout.samples import Samples
from rollout.score import Row, judged
from sandbox.executor import Executor
from sandbox.job import Job, Status, Verdict


def missing(task: Task, n: int, samples: Samples) -> list[int]:
    """The indices (problem * n + sample) of the answers that are not there yet."""
    keys = [(problem.id, sample) for problem in task.problems for sample in range(n)]
    return [index for index, key in enumerate(keys) if key not in samples.rows]


def collect(
    task: Task,
    generator: Generator | None,
    pool: Executor,
    samples: Samples,
    n: int,
    sampling: Sampling,
    seed: int,
) -> None:
    """Fills `samples` with `n` judged rows for each problem. `generator` may be None where no answer is missing; with
    `n` = 0 the rows that are there are judged, and none is drawn.

    Whatever ends it early (Ctrl-C included), the rows so far are on the disk.
    """
    problems = {problem.id: problem for problem in task.problems}
    # A future is done before its callbacks have run, so what counts as verified is what has come through here.
    verified: SimpleQueue[tuple[Row, Future[Verdict]]] = SimpleQueue()
    verifying = 0

    def verify(row: Row) -> None:
        nonlocal verifying
        problem = problems[row["problem"]]
        name = f"{problem.id}/{row['sample']}"
        future = pool.submit(Job(name, task.language.name, row["program"], problem.tests, problem.compare))
        verifying += 1
        future.add_done_callback(lambda done: verified.put((row, done)))

    def judge() -> None:
        """Takes in the verdicts that have come."""
        nonlocal verifying
        while not verified.empty():
            row, future = verified.get()
            verifying -= 1
            if future.cancelled():
                continue
            verdict = future.result()
            passed = sum(test.status is Status.PASSED for test in verdict.tests)
            samples.add(row | {"verdict": verdict.status.value, "message": verdict.message, "tests_passed": passed})

    prompts = [task.prompt(problem) for problem in task.problems]

    def answered(index: int, answer: Answer) -> None:
        problem, prompt = task.problems[index // n], prompts[index // n]
        row = new_row(problem, index % n, prompt, answer, task.program(problem, answer.text))
        samples.add(row)
        verify(row)
        judge()
        shown()

    def shown(last: bool = False) -> None:
        written = samples.flush()
        if not (written or last or progress.live):
            return
        rows = list(samples.rows.values())
        known = [row for row in rows if judged(row)]
        passed = sum(row["verdict"] == Status.PASSED for row in known)
        share = f", {passed / len(known):.3f} passed" if known else ""
        progress.show(len(rows), f"{len(known)} verified{share}", line=written or last)

    samples.start_clock()
    with Progress("answers", len(prompts) * n or len(samples.rows)) as progress:
        try:
            for row in list(samples.rows.values()):
                if not judged(row):
                    verify(row)
            if wanted := set(missing(task, n, samples)):
                assert generator is not None
                generator.generate(prompts, n, sampling, seed, answered, wanted)
            while verifying:
                judge()
                shown()
                time.sleep(0.05)
        finally:
            judge()
            samples.flush(now=True)
        shown(last=True)
    samples.finish()


def new_row(problem: Problem, sample: int, prompt: Prompt, answer: Answer, program: str | None) -> Row:
    """A row without a verdict. Text that no UTF-8 can hold (half of a surrogate pair) is replaced."""
    return {
        "problem": problem.id,
        "sample": sample,
        "prompt": _clean(prompt if isinstance(prompt, str) else json.dumps(prompt)),
        "completion": _clean(answer.text),
        "program": None if program is None else _clean(program),
        "verdict": None,
        "message": "",
        "tests_passed": 0,
        "tests": len(problem.tests),
        "completion_tokens": answer.tokens,
        "finished": answer.finished,
    }


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")

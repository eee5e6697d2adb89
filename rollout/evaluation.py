"""Runs an evaluation to its end: draws the answers that are missing, verifies each as it comes, keeps every row.

Three kinds of work may be left over from an evaluation that was stopped: answers never drawn, answers without a
verdict, and verdicts that were the sandbox's own failure. Only the first costs the model anything.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import Future
from functools import partial

from base.progress import Progress
from policy.samplers.sampler import Sampling
from problems.problem import Problem
from problems.task import Prompt, Task, prompt_hash
from rollout.draw import Answer, AnswerSource, Question, draw
from rollout.pass_at_k import Row, judged, pass_at_1
from rollout.samples import Samples, clean, first_failure
from sandbox.executor import Executor
from sandbox.job import Verdict


def missing(task: Task, n: int, samples: Samples) -> list[int]:
    """The indices (problem * n + sample) of the answers that are not there yet."""
    keys = [(problem.id, sample) for problem in task.problems for sample in range(n)]
    return [index for index, key in enumerate(keys) if key not in samples.rows]


def collect(
    task: Task,
    source: AnswerSource | None,
    pool: Executor,
    samples: Samples,
    n: int,
    sampling: Sampling,
    seed: int,
) -> None:
    """Fills `samples` with `n` judged rows for each problem. `source` may be None where no answer is missing; with
    `n` = 0 the rows that are there are judged, and none is drawn.

    Whatever ends it early (Ctrl-C included), the rows so far are on the disk.
    """
    questions = [Question(task, problem) for problem in task.problems]
    by_id = {question.problem.id: question for question in questions}
    unjudged: set[int] = set()  # rows, by identity, whose verdict has not been noted yet

    def judge(row: Row, verdict: Future[Verdict]) -> None:
        """Notes the verdict once it is there. The row is in `samples` already, so that the verdict comes after it."""
        unjudged.add(id(row))
        verdict.add_done_callback(partial(note, row))

    def note(row: Row, future: Future[Verdict]) -> None:  # in a thread of the pool
        if not future.cancelled():
            verdict = future.result()
            passed = verdict.tests_passed
            known = {"verdict": verdict.status.value, "message": verdict.message, "tests_passed": passed}
            samples.add(row | known | first_failure(by_id[row["problem"]].problem.tests, verdict))
        unjudged.discard(id(row))  # last: a future is done before its callbacks have run

    def answered(index: int, answer: Answer, program: str | None, verdict: Future[Verdict]) -> None:
        question = questions[index // n]
        row = new_row(question.problem, index % n, question.prompt, answer, program)
        samples.add(row)
        judge(row, verdict)
        shown()

    def shown(last: bool = False) -> None:
        if not (samples.flush() or last):  # once a second or so: a look at every row takes its time
            return
        rows = list(samples.rows.values())
        passed = pass_at_1(row["verdict"] for row in rows)
        share = "" if passed is None else f", {passed:.3f} passed"
        progress.show(len(rows), f"{sum(map(judged, rows))} verified{share}", line=True)

    samples.start_clock()
    with Progress("answers", len(questions) * n or len(samples.rows)) as progress:
        try:
            old = [row for row in samples.rows.values() if not judged(row)]
            for row in old:
                judge(row, pool.submit(by_id[row["problem"]].job(row["sample"], row["program"])))
            if wanted := set(missing(task, n, samples)):
                assert source is not None
                draw(questions, n, source, pool, sampling, seed, answered, wanted)
            while unjudged:
                shown()
                time.sleep(0.05)
        finally:
            samples.flush(now=True)
        shown(last=True)
    samples.finish()


def new_row(problem: Problem, sample: int, prompt: Prompt, answer: Answer, program: str | None) -> Row:
    """A row without a verdict."""
    return {
        "problem": problem.id,
        "sample": sample,
        "prompt": clean(prompt if isinstance(prompt, str) else json.dumps(prompt)),
        "prompt_sha256": prompt_hash(prompt),
        "completion": clean(answer.text),
        "program": None if program is None else clean(program),
        "verdict": None,
        "message": "",
        "tests_passed": 0,
        "tests": len(problem.tests),
        "completion_tokens": answer.tokens,
        "finished": answer.finished,
    }

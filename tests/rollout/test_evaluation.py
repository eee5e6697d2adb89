"""An evaluation's rows: every answer gets its verdict, however late the sandbox's threads are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Container, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import cast

import pyarrow.parquet as pq

import languages
from policy.samplers.sampler import Sampling
from problems.problem import Problem
from problems.task import Stdio
from rollout.draw import Answer, Question
from rollout.evaluation import collect
from rollout.samples import Samples
from sandbox.executor import Executor
from sandbox.job import Job, Status, Test, Verdict


class Scripted:
    """A generator with one answer for all."""

    name, trouble = "scripted", ""

    def generate(
        self,
        questions: Sequence[Question],
        n: int,
        sampling: Sampling,
        seed: int,
        done: Callable[[int, Answer], None],
        wanted: Container[int],
        grows: Callable[[int, str], None] | None = None,
    ) -> None:
        for index in range(len(questions) * n):
            if index in wanted:
                done(index, Answer("```lua\nprint(1)\n```", 3, True))


class Late:
    """An executor whose futures are done well before their callbacks run."""

    def submit(self, job: Job) -> Future[Verdict]:
        future: Future[Verdict] = Future()
        future.add_done_callback(lambda _: time.sleep(0.5))
        verdict = Verdict(job.id, Status.PASSED, ())
        threading.Timer(0.1, future.set_result, args=(verdict,)).start()
        return future


def test_the_last_answer_does_not_lose_its_verdict(tmp_path: Path) -> None:
    problem = Problem(id="p", statement="Print 1.", tests=(Test("", "1"),))
    task = Stdio([problem], languages.load("lua"), "default", True)
    sampling = Sampling(1.0, max_new_tokens=8)
    collect(task, Scripted(), cast(Executor, Late()), Samples(tmp_path), 3, sampling, 0)
    rows = pq.read_table(tmp_path / "samples.parquet").to_pylist()
    assert [row["verdict"] for row in rows] == ["passed"] * 3

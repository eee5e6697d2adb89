"""Samples on the disk: what was added is read back, whatever ended the process, and later rows count."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from base.errors import RunError
from rollout.pass_at_k import judged
from rollout.samples import FLUSH_ROWS, Samples, first_failure
from sandbox.job import Status, Test, TestResult, Verdict
from tests.conftest import ROOT


def row(problem: str, sample: int, verdict: str | None = "passed") -> dict[str, Any]:
    return {
        "problem": problem,
        "sample": sample,
        "prompt": "p",
        "prompt_sha256": "0" * 64,
        "completion": "c é\x00",
        "program": None,
        "verdict": verdict,
        "message": "",
        "tests_passed": 0,
        "tests": 2,
        "completion_tokens": 3,
        "finished": True,
        **dict.fromkeys(("failed_test", "failed_input", "expected", "got", "error")),
    }


def test_rows_read_back_and_later_rows_count(tmp_path: Path) -> None:
    samples = Samples(tmp_path)
    samples.add(row("a", 0, None))
    samples.flush(now=True)
    samples.add(row("a", 0, "timeout"))
    samples.add(row("b", 1))
    samples.flush(now=True)
    assert len(list((tmp_path / "samples").glob("part_*.parquet"))) == 2
    again = Samples(tmp_path)
    assert again.rows == samples.rows == {("a", 0): row("a", 0, "timeout"), ("b", 1): row("b", 1)}
    again.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["samples.parquet"]
    assert Samples(tmp_path).rows == samples.rows


def test_files_of_before_the_failing_test_was_kept(tmp_path: Path) -> None:
    old = {key: value for key, value in row("a", 0).items() if key not in list(row("a", 0))[-5:]}
    pq.write_table(pa.Table.from_pylist([old]), tmp_path / "samples.parquet")
    assert Samples(tmp_path).rows == {("a", 0): row("a", 0) | {"program": None}}


def test_the_first_failure_is_cut_and_can_be_written(tmp_path: Path) -> None:
    tests = (Test("1\n", "1\n"), Test("2\n" * 900, "\ud83d"), Test("3\n", "3\n"))
    results = (TestResult(Status.PASSED, "1"), TestResult(Status.RUNTIME_ERROR, "\x1b[2J\ud800", "e" * 1500))
    found = first_failure(tests, Verdict("a/0", Status.RUNTIME_ERROR, results))
    assert (found["failed_test"], found["failed_input"], found["error"]) == (1, "2\n" * 500, "e" * 1000)
    samples = Samples(tmp_path)
    samples.add(row("a", 0, "runtime_error") | found)
    samples.finish()
    kept = Samples(tmp_path).rows["a", 0]
    assert (kept["expected"], kept["got"]) == ("?", "\x1b[2J?")
    compiled = Verdict("a/0", Status.COMPILE_ERROR, (), TestResult(Status.COMPILE_ERROR, "", "no such word"))
    assert first_failure(tests, compiled) == dict.fromkeys(found) | {"error": "no such word"}


def test_a_finished_evaluation_takes_more_rows(tmp_path: Path) -> None:
    samples = Samples(tmp_path)
    samples.add(row("a", 0, "infrastructure_error"))
    samples.finish()
    again = Samples(tmp_path)
    assert not judged(again.rows["a", 0])
    again.add(row("a", 0, "passed"))
    again.finish()
    assert Samples(tmp_path).rows == {("a", 0): row("a", 0, "passed")}


def test_many_rows_are_written_at_once_and_few_wait(tmp_path: Path) -> None:
    samples = Samples(tmp_path)
    samples.add(row("a", 0))
    assert not samples.flush()
    for number in range(1, FLUSH_ROWS):
        samples.add(row("a", number))
    assert samples.flush()
    assert not samples.flush(now=True)  # nothing new


def test_a_kill_in_the_middle_leaves_whole_files(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from rollout.samples import Samples\n"
        "from tests.rollout.test_samples import row\n"
        "samples = Samples(Path(sys.argv[1]))\n"
        "for n in range(10**6):\n"
        "    samples.add(row('a', n)); samples.flush(now=True); print(n, flush=True)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ}) as process:
        assert process.stdout is not None
        while int(process.stdout.readline()) < 20:
            pass
        process.send_signal(signal.SIGKILL)
        last = [int(line) for line in process.stdout.read().split()]
    kept = Samples(tmp_path).rows
    assert set(kept) >= {("a", n) for n in range(max([20, *last]) + 1)}


def test_seconds_are_those_of_all_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = time.monotonic
    for number in range(2):
        samples = Samples(tmp_path)
        samples.start_clock()
        with monkeypatch.context() as patch:
            patch.setattr(time, "monotonic", lambda: clock() + 5.0)
            samples.add(row("a", number))
            samples.finish()
    assert Samples(tmp_path).seconds == pytest.approx(10.0, abs=1.0)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "samples.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(RunError, match=r"samples\.parquet.*remove it"):
        Samples(tmp_path)


def test_what_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "samples").write_text("in the way")
    samples = Samples(tmp_path)
    samples.add(row("a", 0))
    with pytest.raises(RunError, match="the same command goes on"):
        samples.flush(now=True)

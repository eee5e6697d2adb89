"""Ranks that only sample, with vLLM's CPU build, one step ahead of those that train: as on four GPUs and four more."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import command, run, stopped
from tests.test_ahead import AHEAD
from tests.test_train import VLLM, rows, same_end

WITH_VLLM = (*AHEAD, *VLLM)


def gaps(folder: Path) -> dict[int, float]:
    return {row["step"]: row["sampler_gap"] for row in rows(folder)[1:] if row["trained_tokens"]}


@pytest.mark.slow
def test_one_rank_samples_ahead_and_a_stop_changes_nothing(tmp_path: Path, few: str) -> None:
    """The first batch is drawn by the very weights that it trains, the others by weights one update old. How often
    checkpoints are written, and a stop between them, change nothing: the batch in flight is in the checkpoint."""
    calm, folder = tmp_path / "calm", tmp_path / "run"
    done = run(*WITH_VLLM, few, "gpus=2", "checkpoint.every=4", f"run_dir={calm}")
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr[-3000:]
    found = gaps(calm)
    assert len(found) > 2, "a step without signal: choose another seed"
    assert found.get(1, 0.0) < 1e-3 and all(gap > 1e-3 for step, gap in found.items() if step > 1), found

    arguments = (*WITH_VLLM, few, "gpus=2", "checkpoint.every=1", f"run_dir={folder}", "resume=auto")
    stopped(arguments, signal.SIGTERM, folder / "rollouts/step_000001.parquet")
    assert list(folder.glob("checkpoints/step_*/trainer/batch.json"))
    done = run(*arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    same_end(calm, folder)


@pytest.mark.slow
def test_sharded_weights_and_merged_adapters_reach_the_engine_whole(tmp_path: Path, few: str) -> None:
    """Two ranks that train gather what they send; LoRA is merged. With a weight out of its place, the engine's
    log-probs of the first batch would not be the trainer's."""
    for name, overrides in {"sharded": ("gpus=3", "shard=true"), "adapters": ("gpus=2", "lora.rank=8")}.items():
        folder = tmp_path / name
        done = run(*WITH_VLLM, few, *overrides, "steps=2", f"run_dir={folder}")
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr[-3000:]
        found = gaps(folder)
        assert found and found.get(1, 0.0) < 1e-3 and max(found.values()) < 0.1, found


def session(leader: int) -> list[int]:
    """The processes of the session of `leader`, but for those that have ended and wait for their parent."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, number = entry.read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(number) == leader and state != "Z":
            found.append(int(entry.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "number"),
    [(os.killpg, signal.SIGTERM), (os.kill, signal.SIGTERM), (os.kill, signal.SIGKILL)],
    ids=["SIGTERM to all", "SIGTERM", "SIGKILL"],
)
def test_whatever_ends_a_run_no_engine_is_left(
    tmp_path: Path, few: str, end: Callable[[int, int], None], number: signal.Signals
) -> None:
    """A scheduler sends SIGTERM to every process of a job, engines too: they go on until their rank has saved. After
    kill -9 nobody is there to stop them."""
    folder = tmp_path / "run"
    words = command(*WITH_VLLM, few, "gpus=2", "checkpoint.every=10", "steps=100", f"run_dir={folder}")
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        while not list(folder.glob("rollouts/step_000001.parquet")):
            assert process.poll() is None, process.communicate()[0][-3000:]
            time.sleep(0.05)
        assert len(session(process.pid)) >= 3  # the launcher, two ranks, an engine
        end(process.pid, number)
        output, _ = process.communicate(timeout=300)
    if number == signal.SIGTERM:
        assert process.returncode == 1 and "resume=auto" in " ".join(output.split()), output[-3000:]
        assert "Traceback" not in output, output[-3000:]
        assert list(folder.glob("checkpoints/step_*/trainer/batch.json"))
    deadline = time.monotonic() + 120
    while left := session(process.pid):
        assert time.monotonic() < deadline, [Path(f"/proc/{pid}/cmdline").read_text() for pid in left]
        time.sleep(0.1)

"""Ranks that only sample, one step ahead of those that train; with vLLM: test_vllm_ahead.py."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.conftest import SMALL, run, stopped
from tests.test_train import rows, same_end

AHEAD = (
    *SMALL,
    "heldout.every=1",  # gives a signal time to come in while the next batch is there already
    "optimizer.learning_rate=1e-3",
    "optimizer.schedule=constant",
    "optimizer.warmup=0",
    "group=16",
    "steps=4",
    "samplers=1",
)
TWO = (*AHEAD, "gpus=2", "checkpoint.every=2")


@pytest.fixture(scope="module")
def ahead(tmp_path_factory: pytest.TempPathFactory, few: str) -> Path:
    """A run in which one rank samples while the other trains."""
    folder = tmp_path_factory.mktemp("ahead") / "run"
    done = run(*TWO, few, f"run_dir={folder}")
    assert done.returncode == 0, done.stderr
    return folder


def test_one_rank_samples_ahead_while_the_other_trains(ahead: Path) -> None:
    """Batches sampled during an update are one update old, and say so, also those after a checkpoint."""
    assert [row["step"] for row in rows(ahead)] == [0, 1, 2, 3, 4]
    gaps = {row["step"]: row["sampler_gap"] for row in rows(ahead)[1:] if row["trained_tokens"]}
    assert len(gaps) > 2, "a step without signal: choose another seed"
    assert all(gap > 1e-3 for step, gap in gaps.items() if step > 1), gaps
    assert gaps.get(1, 0.0) < 1e-3, gaps


def test_the_time_of_a_step_ahead_is_that_of_its_phases(ahead: Path) -> None:
    """On the rank that trains; beside them, how long the other one sampled."""
    for row in rows(ahead)[1:]:
        phases = row["seconds/wait"] + row["seconds/update"] + row["seconds/sync"]
        assert 0.9 * row["seconds/step"] <= phases <= row["seconds/step"], row
        assert row["seconds/sample"] > 0.02 and row["heldout/seconds"] > 0.02, "more than drawing nothing takes"
    first = rows(ahead)[1]
    assert first["seconds/wait"] > first["seconds/sample"], "nothing was ahead yet"


def test_a_batch_sampled_ahead_outlives_a_stop(ahead: Path, tmp_path: Path, few: str) -> None:
    """The older weights that drew it are gone, so it is in the checkpoint."""
    folder = tmp_path / "run"
    arguments = (*TWO, few, f"run_dir={folder}", "resume=auto")
    stopped(arguments, signal.SIGTERM, folder / "rollouts/step_000001.parquet")
    assert list(folder.glob("checkpoints/step_*/trainer/batch.json")), "after step 1, or later on a machine in a hurry"
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    same_end(ahead, folder)

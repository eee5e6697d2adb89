"""What wandb and TensorBoard are told of a run, read from the files of an offline run; and its rollouts."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from policy.samplers.sampler import Completion
from problems.problem import Problem
from rollout.rollout import Rollout
from run.journal import ROLLOUTS, Journal, write_rollouts
from sandbox.job import Status, Test, TestResult, Verdict
from tests.conftest import composed
from tests.wandb_file import records


def test_an_offline_run_of_wandb_has_its_place_and_every_metric(tmp_path: Path) -> None:
    config = composed("wandb=offline", "seed=3", "language=python")
    folder = tmp_path / "python-tiny-1"
    folder.mkdir()
    journal = Journal(folder, config)
    journal.log({"step": 0, "heldout/pass@1": 0.25})
    journal.log({"step": 1, "reward": 0.5, "pass@1": 0.5, "seconds/step": 2.0})
    journal.close()

    found = list(records(next(folder.glob("wandb/offline-run-*/*.wandb"))))
    run = next(record.run for record in found if record.WhichOneof("record_type") == "run")
    assert (run.project, run.display_name, run.run_group) == ("agnostics", "python-tiny-1", "tiny-starter-python")
    assert set(run.tags) == {"tiny", "starter", "python"} and run.job_type == "train"
    settings = {item.key: item.value_json for item in run.config.update}
    assert settings["seed"] == "3"
    logged = [
        {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
        for record in found
        if record.WhichOneof("record_type") == "history"
    ]
    assert [(row.get("step"), row.get("heldout/pass@1"), row.get("reward")) for row in logged] == [
        ("0", "0.25", None),
        ("1", None, "0.5"),
    ]


def test_a_run_that_goes_on_is_the_same_run_of_wandb(tmp_path: Path) -> None:
    """Also where it does a step again that was logged before a kill."""
    config = composed("wandb=offline")
    for steps in ((0, 1, 2), (2, 3)):
        journal = Journal(tmp_path, config)
        for step in steps:
            journal.log({"step": step, "reward": 0.1 * step})
        journal.close()
    files = sorted(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    assert len(files) == 2 and len({path.name for path in files}) == 1
    logged = [
        item.value_json
        for path in files
        for record in records(path)
        if record.WhichOneof("record_type") == "history"
        for item in record.history.item
        if (item.key or "/".join(item.nested_key)) == "step"
    ]
    assert logged == ["0", "1", "2", "2", "3"]


def test_tensorboard_has_every_metric_of_a_run_that_went_on(tmp_path: Path) -> None:
    for steps in ((0, 1, 2), (2, 3)):  # step 2 is done again after a kill
        journal = Journal(tmp_path, composed("tensorboard=true"))
        for step in steps:
            journal.log({"step": step, "heldout/pass@1": 0.25 + step, "reward": None if step == 1 else len(steps)})
        journal.close()
    found = EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    scores = [(event.step, event.value) for event in found.Scalars("heldout/pass@1")]
    assert scores == [(0, 0.25), (1, 1.25), (2, 2.25), (3, 3.25)]
    assert [(event.step, event.value) for event in found.Scalars("reward")] == [(0, 3), (2, 2), (3, 2)]
    (tmp_path / "none").mkdir()
    Journal(tmp_path / "none", composed()).log({"step": 0})
    assert not (tmp_path / "none/tensorboard").exists()


def test_what_json_cannot_say_is_null(tmp_path: Path) -> None:
    journal = Journal(tmp_path, composed())
    journal.log({"step": 1, "loss": float("nan"), "ratio": float("inf"), "reward": 0.5})
    assert journal.rows() == [{"step": 1, "loss": None, "ratio": None, "reward": 0.5}]
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()


def test_a_folder_of_rollouts_is_one_table(tmp_path: Path) -> None:
    """Also where a step had nothing to put into a column."""
    problem = Problem("p", "s", (Test("1\n", "2\n"),))
    completion = Completion(0, [3], [-0.5], "no program", False)
    failed = Verdict("p/0", Status.RUNTIME_ERROR, (TestResult(Status.RUNTIME_ERROR, "", "died"),))
    one = Rollout(problem, "prompt", [1, 2], completion, None, Verdict("p/1", Status.NO_PROGRAM))
    other = Rollout(problem, "prompt", [1, 2], completion, "x", failed, 0.0, -0.5, sampler_gap=0.25)
    for step, rollouts in enumerate([[one], [other], []]):
        write_rollouts(tmp_path / f"step_{step:06d}.parquet", rollouts)
    rows = pq.read_table(tmp_path).to_pylist()
    assert [(row["program"], row["reward"], row["sampler_gap"]) for row in rows] == [
        (None, None, None),
        ("x", 0.0, 0.25),
    ]
    assert [(row["failed_test"], row["expected"], row["error"]) for row in rows] == [
        (None, None, None),
        (0, "2\n", "died"),
    ]
    assert set(rows[0]) == set(ROLLOUTS.names)

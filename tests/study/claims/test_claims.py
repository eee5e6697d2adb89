"""A small study as a user runs it: stopped, gone on with, done; what it measures is what the runs wrote."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean

import pyarrow.parquet as pq
import pytest
import yaml

from sandbox.job import Status
from study.claims.measures import curve, measure
from study.run_data import Run
from tests.conftest import ROOT

STORED = ROOT / "notebooks/data/runs/lua_seed0"


def small(path: Path, few: str) -> Path:
    """A plan of two parts, one of which needs the other, and a part that cannot run."""
    sizes = ["prompts=1", "group=2", "heldout.samples=1", "rollout.max_new_tokens=16", few]
    plan = {
        "seeds": [0, 1],
        "margin": 3,
        "starts": {"easy": {"kinds": {1: ["sum", "product"]}, "train": ["steps=2"]}},
        "words": {
            "train": ["dataset=jsonl", "dataset.train=<data>/train.jsonl", *sizes],
            "evaluate": [few, "samples=1"],
        },
        "parts": [
            {"name": "easy/grpo", "train": []},
            {"name": "scores", "evaluate": ["checkpoint=<easy/grpo>/seed_${seed}"]},
            {"name": "easy/ppo", "train": ["loss.variant=ppo"]},
            {"name": "easy/after_ppo", "train": ["warm_start=<easy/ppo>/seed_0"]},
        ],
        "claims": [
            {"claim": "it learns", "source": "us", "compare": [["easy/grpo after", "more", "easy/grpo before"]]},
            {"claim": "ppo too", "source": "us", "compare": [["easy/ppo after", "more", "scores score"]]},
        ],
    }
    path.write_text(yaml.safe_dump(plan))
    return path


def study(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "study.claims", *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_study_goes_on_after_a_stop_and_says_what_failed(tmp_path: Path, few: str) -> None:
    words = f"folder={tmp_path / 'study'}", f"plan={small(tmp_path / 'plan.yaml', few)}", "at_once=1"
    first = tmp_path / "study/easy/grpo/seed_0/metrics.jsonl"
    with study(*words) as process:
        deadline = time.monotonic() + 300
        while not first.exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
    assert process.returncode == 1 and "error: interrupted; the same command goes on" in said, said
    assert not (tmp_path / "study/claims.json").exists()

    with study(*words) as process:
        shown, said = process.communicate(timeout=600)
    assert process.returncode == 1
    assert "error: easy/ppo is not finished: loss.variant is 'ppo'" in said and "and 1 more" in said, said
    assert "Traceback" not in said
    found = json.loads((tmp_path / "study/claims.json").read_text())
    learned, other = (claim["compare"][0] for claim in found["claims"])
    assert learned["seeds"] == [0, 1] and other["verdict"] == "not run"
    assert found["parts"]["easy/grpo"]["steps"] == [2, 2] and found["parts"].keys() == {"easy/grpo"}
    assert (tmp_path / "study/claims.md").read_text() == shown
    for seed in (0, 1):
        scores = json.loads((tmp_path / f"study/scores/seed_{seed}/scores.json").read_text())
        assert str(tmp_path / f"study/easy/grpo/seed_{seed}") in scores["model"]

    times = {
        path: path.stat().st_mtime_ns for path in (tmp_path / "study").rglob("*.jsonl") if "data" not in path.parts
    }
    with study(*words, "parts=scores") as process:  # what is done is not done again
        again, said = process.communicate(timeout=300)
    assert process.returncode == 0 and again == shown, said
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_the_measures_of_a_run_are_what_it_wrote() -> None:
    run = Run.read(STORED)
    steps, scores = run.series("heldout/pass@1")
    assert curve(STORED) == list(zip(steps, scores, strict=True)) and len(steps) > 2
    assert measure(STORED, "before") == scores[0] and measure(STORED, "after") == scores[-1]
    assert measure(STORED, "mean") == pytest.approx(fmean(scores[1:]))
    last = [row for row in run.metrics if row["step"] > run.last_step - run.last_step // 4]
    assert measure(STORED, "wrong_output") == pytest.approx(fmean(row.get("verdict/wrong_output", 0) for row in last))


def test_the_errors_of_a_run_are_those_of_its_failed_programs(tmp_path: Path) -> None:
    """All failed programs run once more; before training the language is the trouble."""
    folder = tmp_path / "run"
    shutil.copytree(STORED, folder)
    rows = pq.read_table(folder / "rollouts/heldout_step_000000.parquet").to_pylist()
    broken = sum(row["verdict"] == Status.RUNTIME_ERROR for row in rows)
    failed = sum(row["verdict"] in (Status.RUNTIME_ERROR, Status.WRONG_OUTPUT) for row in rows)
    shallow = measure(folder, "shallow_before")
    assert shallow is not None and failed and abs(shallow - broken / failed) < 0.25
    labels = folder / "bugs/step_000000/labels.jsonl"
    assert len(labels.read_text().splitlines()) >= failed
    logic = measure(folder, "logic_before")  # from the file that is there now
    assert logic is not None and 0 <= logic <= 1


def test_a_folder_whose_name_would_be_read_as_part_of_a_word(tmp_path: Path) -> None:
    with study(f"folder={tmp_path}/a b,c") as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1 and "its path may have letters, digits and /._- only" in said

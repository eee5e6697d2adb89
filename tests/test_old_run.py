"""A run of the layout before 2026-11-28, stored with its data and model, goes on and is still evaluated."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from run import run_folder
from tests.conftest import ROOT, command

TRAIN = (
    *("language=coin", "model.path=toy", "dataset=jsonl", "dataset.train=data/train.jsonl"),
    *("dataset.heldout=data/held.jsonl", "steps=4", "prompts=2", "group=4", "heldout.samples=1", "heldout.every=2"),
    *("rollout.max_new_tokens=16", "reward=partial", "curriculum=pass_rate", "optimizer.learning_rate=1e-2"),
    *("extract=paper", "run_dir=run", "resume=auto"),
)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    folder = tmp_path / "stored"
    shutil.copytree(ROOT / "tests/old_run", folder)
    return folder


def ran(folder: Path, *arguments: str, script: str = "train.py") -> str:
    environment = {**os.environ, "AGNOSTICS_LANGUAGES": str(folder / "languages")}
    done = subprocess.run(
        command(*arguments, script=script), cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_goes_on(stored: Path) -> None:
    last = stored / "run/checkpoints/step_000004"
    before = load_file(last / "model.safetensors"), load_file(last / "optimizer.safetensors")
    shutil.rmtree(last)
    (stored / "run" / run_folder.FINISHED).unlink()
    assert "resuming after step 2" in ran(stored, *TRAIN)
    after = load_file(last / "model.safetensors"), load_file(last / "trainer/optimizer.safetensors")
    for old, new in zip(before, after, strict=True):
        assert old.keys() == new.keys()
        for name, value in old.items():  # to rounding: batches are cut otherwise today
            torch.testing.assert_close(new[name], value, rtol=0, atol=2e-5, msg=name)


def test_it_is_evaluated(stored: Path) -> None:
    ran(
        stored, "checkpoint=run", "language=coin", "model.path=toy", "dataset=jsonl", "dataset.heldout=data/held.jsonl",
        "samples=1", "rollout.max_new_tokens=16", "run_dir=scores", script="evaluate.py",
    )  # fmt: skip
    assert json.loads((stored / "scores/scores.json").read_text())["samples"] == 2


def test_it_is_evaluated_as_it_was_trained(stored: Path) -> None:
    """protocol=heldout: the run's own model, language and data, with no word of them on the command line."""
    ran(stored, "checkpoint=run", "protocol=heldout", "run_dir=scores", "model.temperature=0.9", script="evaluate.py")
    scores = json.loads((stored / "scores/scores.json").read_text())
    assert (scores["language"], scores["dataset"], scores["protocol"]["samples"]) == ("coin", "jsonl", 1)
    config = yaml.safe_load((stored / "scores/config.yaml").read_text())
    assert config["dataset"]["heldout"] == "data/held.jsonl" and config["model"]["path"] == "toy"
    assert config["model"]["temperature"] == 0.9, "a single key that is set stays"

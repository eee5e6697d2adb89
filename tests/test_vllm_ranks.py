"""Two ranks on a CPU, each with a vLLM engine of its own, and the weights spread over both: as on eight GPUs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from run import run_folder
from tests.conftest import ROOT, command
from tests.test_train import gaps_of_all, same_end
from tests.toy_policy import save_toy

TOY = (
    *("language=coin", "model.path=toy", "dataset=jsonl", "dataset.train=data/train.jsonl"),
    *("dataset.heldout=data/held.jsonl", "steps=2", "prompts=2", "group=8", "heldout.samples=1", "heldout.every=2"),
    *("rollout.max_new_tokens=16", "reward=partial", "optimizer.learning_rate=1e-3", "extract=paper"),
    *("rollout=vllm", "rollout.cpu_kv_cache_gib=1", "rollout.max_prompt_tokens=512", "checkpoint.every=1"),
    *("gpus=2", "shard=true", "resume=auto"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The language and problems of the stored run."""
    save_toy(tmp_path / "toy")  # that of the stored run has heads too narrow for vLLM
    for name in ("languages", "data"):
        shutil.copytree(ROOT / "tests/old_run" / name, tmp_path / name)
    return tmp_path


def ran(folder: Path, run_dir: str) -> str:
    environment = {**os.environ, "AGNOSTICS_LANGUAGES": str(folder / "languages")}
    done = subprocess.run(
        command(*TOY, f"run_dir={run_dir}"), cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_two_engines_and_sharded_weights_go_on_exactly(folder: Path) -> None:
    """Each engine loads what both ranks gather: with a wrong order of weights, its log-probs would not be theirs."""
    calm, other = folder / "calm", folder / "run"
    ran(folder, "calm")
    assert max(found := gaps_of_all(calm)) < 0.02, found
    shutil.copytree(calm, other)
    (other / "checkpoints/step_000002").rename(other / "checkpoints/.step_000002.part")
    (other / run_folder.FINISHED).unlink()
    assert "resuming after step 1" in ran(folder, "run")
    same_end(calm, other)

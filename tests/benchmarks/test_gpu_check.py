"""The check for GPUs runs every part at toy size, on a CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.gpu import parts, random_model
from policy.pretrained import outlined
from training import memory
from training.settings import TrainSettings

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_check.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True)


def results(*arguments: str) -> dict[str, dict[str, Any]]:
    done = run("--cpu", "--limit", "900", *arguments)
    assert done.returncode == 0, done.stderr
    found = {row["part"]: row for row in map(json.loads, done.stdout.splitlines())}
    for row in found.values():
        assert row["ok"], row
    return found


def test_the_parts_that_need_no_engine(tmp_path: Path) -> None:
    found = results("--parts", "machine,attention,update,scoring,shard,saving", "--work", str(tmp_path))
    assert max(found["attention"]["masked_relative_error"]) < 1e-5
    assert found["shard"]["all_equal"] and found["saving"]["all_equal"]
    for part in ("update", "shard", "saving"):
        assert found[part]["predicted_gib"]["update, layers"] > 0
    assert found["shard"]["peak_gib"] > 0
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 6


def test_a_prediction_leaves_out_what_torch_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA's context is no memory that torch has allocated, of which the peak is."""
    random_model.save("toy", tmp_path / "toy")
    card = memory.Machine("NVIDIA H100 80GB HBM3", 79 * memory.GIB, 1500 * memory.GIB)
    monkeypatch.setattr(parts, "model_folder", lambda: tmp_path / "toy")
    monkeypatch.setattr(memory.Machine, "here", lambda: card)
    config = parts.config_of("rollout=transformers")
    shape, plan = memory.Shape.of(outlined(str(tmp_path / "toy"))), memory.Plan.of(TrainSettings.read(config))
    found, whole = parts.predicted(config), memory.estimate(shape, plan, card).phases
    for phase, held in whole.items():
        assert found[phase] == pytest.approx(sum(size for what, size in held.items() if what != "CUDA") / memory.GIB)


def test_the_launcher_of_several_ranks() -> None:
    assert results("--parts", "launcher")["launcher"]["gap"] < 0.05


@pytest.mark.slow
def test_vllm_by_itself() -> None:
    assert results("--parts", "sampler")["sampler"]["gap_synced"] < 0.05


@pytest.mark.slow
def test_a_whole_step() -> None:
    """Of one rank and of two: in turn, and with one of them ahead, where sampling is beside the rest."""
    found = results("--parts", "step")["step"]
    for name in ("full", "lora", "all_gpus", "half_of_them_ahead"):
        figures = found[name]
        phases = figures["seconds/wait"] + figures["seconds/update"] + figures["seconds/sync"]
        phases += figures["seconds/sample"] if name != "half_of_them_ahead" else 0
        assert 0 < phases <= figures["seconds/step"], name
        assert figures["seconds/sample"] > 0.01 and figures["predicted_gib"] > 0, name


def test_a_part_that_is_too_slow_is_stopped_and_the_next_one_has_its_turn(tmp_path: Path) -> None:
    """A run of several steps with vLLM takes longer than six seconds anywhere; the next part has its line, too."""
    done = run("--cpu", "--limit", "6", "--parts", "step,machine", "--work", str(tmp_path))
    first, second = map(json.loads, done.stdout.splitlines()[:2])
    assert not first["ok"] and first["error"].startswith("stopped after"), first
    assert second["part"] == "machine"


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_the_real_size_asks_for_a_gpu() -> None:
    done = run()
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith("error: this needs an NVIDIA GPU of 80 GB or more; --cpu runs here")

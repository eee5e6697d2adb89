"""The check for GPUs runs every part at toy size, on a CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

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
    assert found["update"]["predicted_gib"]
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 6


@pytest.mark.slow
def test_the_parts_with_vllm_and_a_whole_step() -> None:
    found = results("--parts", "sampler,launcher,step")
    assert found["sampler"]["gap_synced"] < 0.05 and found["launcher"]["gap"] < 0.05
    for name in ("full", "lora"):
        figures = found["step"][name]
        phases = figures["seconds/sample"] + figures["seconds/wait"] + figures["seconds/update"]
        assert 0 < phases <= figures["seconds/step"]


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

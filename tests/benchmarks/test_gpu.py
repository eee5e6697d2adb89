"""The GPU benchmark takes its whole road at toy size, on a CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True)


def test_a_paper_step_at_toy_size_full_and_lora() -> None:
    done = run("size=toy", "steps=1")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    for name in ("full", "lora"):
        figures = result[name]
        phases = figures["seconds/sample"] + figures["seconds/wait"] + figures["seconds/update"]
        assert 0 < phases <= figures["seconds/step"]
        assert figures["tokens/s"] > 0 and figures["tflops"] > 0 and figures["memory_gib"] > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_the_real_size_asks_for_a_gpu() -> None:
    done = run()
    assert done.returncode != 0
    assert (
        done.stderr.splitlines()[-1] == "error: size=qwen3_4b needs an NVIDIA GPU of 80 GB or more; size=toy runs here"
    )

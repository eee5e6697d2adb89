"""The benchmark against TRL runs, and both sides compute the same step."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "trainer.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True)


def test_at_toy_size_both_sides_take_the_same_step() -> None:
    done = run("cases=tiny:16", "steps=1", "sides=ours,trl")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    sides = result["made_of"]["tiny:16"]
    assert sides["ours"]["grad_norm"] == pytest.approx(sides["trl"]["grad_norm"], rel=0.02)  # both compute in bf16
    assert result["time_vs_trl"] == sides["ours"]["seconds"][0] / sides["trl"]["seconds"][0]
    for figures in sides.values():
        assert figures["memory_gib"] > 0 and figures["weights_gib"] > 0 and figures["sampled_per_second"] > 0
    assert {"memory_vs_trl_49k", "memory_vs_trl_152k"} <= result.keys()


@pytest.mark.parametrize("argument", ["case=tiny:16", "cases=huge:16", "cases=tiny", "sides=verl"])
def test_bad_arguments_are_said(argument: str) -> None:
    done = run(argument)
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith("error: ") and "tiny" in done.stderr or "sides" in done.stderr

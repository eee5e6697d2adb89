"""The benchmark against TRL runs, and both sides compute the same step."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from base.errors import ConfigError
from benchmarks import trainer


def test_at_toy_size_both_sides_take_the_same_step() -> None:
    command = [sys.executable, trainer.__file__, "cases=tiny:16", "steps=1", "sides=ours,trl"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    sides = result["made_of"]["tiny:16"]
    assert sides["ours"]["grad_norm"] == pytest.approx(sides["trl"]["grad_norm"], rel=0.02)  # both compute in bf16
    assert result["time_vs_trl"] == sides["ours"]["seconds"][0] / sides["trl"]["seconds"][0]
    for figures in sides.values():
        assert figures["memory_gib"] > 0 and figures["weights_gib"] > 0 and figures["sampled_per_second"] > 0
    assert {"memory_vs_trl_49k", "memory_vs_trl_152k"} <= result.keys()


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("case=tiny:16", "unknown argument 'case=tiny:16'; write key=value with the keys cases, sides"),
        ("cases=huge:16", "'huge:16' is not model:tokens; the models are tiny"),
        ("cases=tiny", "'tiny' is not model:tokens"),
        ("sides=verl", "'verl'; the sides are ours, trl"),
    ],
)
def test_bad_arguments_are_said(argument: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["trainer.py", argument])
    with pytest.raises(ConfigError, match=said):
        trainer.main()

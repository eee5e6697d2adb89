"""What a run shows of what a model wrote."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from run.progress import RunProgress
from sandbox.job import Status


def test_a_completion_is_shown_as_it_is_and_cannot_steer_the_terminal() -> None:
    text = "print(x[0:100:2])  [b]bold[/b]\x1b[2J"
    rollout: Any = SimpleNamespace(
        problem=SimpleNamespace(id="p[i]:100:"),
        verdict=SimpleNamespace(status=Status.PASSED),
        completion=SimpleNamespace(text=text),
    )
    out = io.StringIO()
    shown = RunProgress(1, 0)
    shown._bar.console = Console(file=out, width=100)
    shown.evaluated(0, 0.5, [rollout])
    assert "print(x[0:100:2])  [b]bold[/b]\u241b[2J" in out.getvalue() and "p[i]:100:: passed" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_a_step_is_a_line_whatever_the_speed(capsys: pytest.CaptureFixture[str]) -> None:
    with RunProgress(2, 0) as shown:
        for step, speed in ((1, 0.031), (2, 350.4)):
            shown.step({"step": step, "reward": 0.5, "tokens/s": 1000.0, "programs/s": speed})
    slow, fast = capsys.readouterr().out.splitlines()
    assert "0.031 programs/s" in slow and "350 programs/s" in fast

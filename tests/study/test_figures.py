"""Figures show what the metrics and scores say, and stand what has none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from study import figures
from study.run_data import Run

ROW = {"step": 1, "seconds/sample": 3.0, "seconds/wait": 1.0, "seconds/update": 2.0, "seconds/sync": 0.5}


def test_bars_of_evaluations_that_do_not_share_their_ks_or_have_none() -> None:
    score = {"value": 0.5, "low": 0.4, "high": 0.6}
    found: dict[str, Any] = {
        "none": {"pass@1": None},
        "one": {"pass@1": score, "pass@10": score},
        "five": {"pass@5": score},
    }
    axes = figures.score_bars(found).axes[0]
    assert axes.get_legend_handles_labels()[1] == ["pass@1", "pass@5", "pass@10"]


@pytest.mark.parametrize(("samplers", "seconds"), [(0, 6.5), (1, 3.5)])
def test_the_phases_of_a_step_are_stacked_up_to_its_time(samplers: int, seconds: float) -> None:
    """Ranks that only sample do so beside the others."""
    run = Run(Path("run"), {"samplers": samplers}, [{**ROW, "seconds/step": seconds, "wait_share": 0.1}])
    above, _ = figures.step_profile(run).axes
    assert sum(bar.get_height() for bars in above.containers for bar in bars) == seconds

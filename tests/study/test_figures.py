"""Figures of what has no score, or not the same scores."""

from __future__ import annotations

from typing import Any

from study import figures


def test_bars_of_evaluations_that_do_not_share_their_ks_or_have_none() -> None:
    score = {"value": 0.5, "low": 0.4, "high": 0.6}
    found: dict[str, Any] = {
        "none": {"pass@1": None},
        "one": {"pass@1": score, "pass@10": score},
        "five": {"pass@5": score},
    }
    axes = figures.score_bars(found).axes[0]
    assert axes.get_legend_handles_labels()[1] == ["pass@1", "pass@5", "pass@10"]

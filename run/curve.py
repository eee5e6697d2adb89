"""The learning curve that a run draws into its folder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rollout.pass_at_k import running_mean, smoothing


def learning_curve(rows: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """Draws reward by step, its running mean, and held-out pass@1, as a PNG at `path`."""
    import matplotlib  # a second to import

    matplotlib.use("Agg")
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it tells of its font cache
    from matplotlib import pyplot as plt

    # Of all programs drawn: with `resample`, those that a step keeps flatter the policy.
    rewards_of = [(row["step"], row.get("drawn/reward", row.get("reward"))) for row in rows]
    train = [(step, reward) for step, reward in rewards_of if reward is not None]
    held = [(row["step"], row["heldout/pass@1"]) for row in rows if row.get("heldout/pass@1") is not None]
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    if train:
        steps, rewards = zip(*train, strict=True)
        window = smoothing(len(rewards))
        axes.plot(steps, rewards, color="#9ecae1", linewidth=0.8, label="reward of each batch")
        axes.plot(steps, running_mean(rewards, window), color="#0072b2", label=f"mean of {window} batches")
    if held:
        axes.plot(*zip(*held, strict=True), "o--", color="#d55e00", label="held-out pass@1")
    shown = [0.0, 1.0, *(reward for _, reward in train)]  # a reward may be any number
    low, high = min(shown), max(shown)
    margin = 0.02 * (high - low)
    axes.set(xlabel="step", ylabel="reward, pass@1", ylim=(low - margin, high + margin), title=title)
    axes.grid(alpha=0.3)
    if train or held:  # else matplotlib warns
        axes.legend(loc="lower right")
    figure.savefig(path, dpi=150)
    plt.close(figure)

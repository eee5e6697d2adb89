"""A study's figures, from its claims.json: the difference behind each verdict, and how each part learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from study.figures import COLOURS, LINES, MARKERS, style

VERDICTS = {"seen": "#009e73", "not seen": "#d55e00", "cannot tell": "#999999"}
SYMBOLS = {"seen": "o", "not seen": "s", "cannot tell": "D"}


def differences(found: Mapping[str, Any]) -> Figure:
    """Each comparison's difference with its 95 % interval, in the colour of its verdict; `margin` is the grey band."""
    rows = [row for claim in found["claims"] for row in claim["compare"] if row["verdict"] != "not run"]
    with style():
        figure = Figure(figsize=(9, 1 + 0.27 * len(rows)), layout="constrained")
        axes = figure.subplots()
        axes.axvspan(-found["margin"], found["margin"], color="#000000", alpha=0.06, linewidth=0)
        axes.axvline(0, color="#000000", linewidth=0.8)
        for place, row in enumerate(rows):
            gap, verdict = row["difference"], row["verdict"]
            axes.errorbar(
                100 * gap["mean"], place,
                xerr=[[100 * (gap["mean"] - gap["low"])], [100 * (gap["high"] - gap["mean"])]],
                color=VERDICTS[verdict], marker=SYMBOLS[verdict], markersize=5, capsize=2, linewidth=1.2,
            )  # fmt: skip
        for verdict, colour in VERDICTS.items():
            axes.plot([], [], color=colour, marker=SYMBOLS[verdict], linestyle="", label=verdict)
        axes.set_yticks(range(len(rows)), [_label(row) for row in rows])
        axes.set(ylim=(len(rows) - 0.5, -0.5), xlabel="difference in points, with 95 % interval over seeds")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return figure


def _label(row: Mapping[str, Any]) -> str:
    """`hard: partial wrong_output > grpo wrong_output`, as the claim has it."""
    (start, this), (other, that) = (row[side]["part"].split("/") for side in ("this", "that"))
    measures = row["this"]["measure"], row["that"]["measure"]
    sign = {"more": ">", "less": "<", "same": "="}[row["expected"]]
    where = start if start == other else f"{start}, {other}"
    if this == that:
        return f"{where}: {this} {measures[0]} {sign} {measures[1]}"
    return f"{where}: {this} {sign} {that} ({measures[0]})"


def curves(found: Mapping[str, Any], names: Sequence[str], title: str) -> Figure:
    """Held-out pass@1 of some parts by the share of their steps: the mean over seeds, in a band from lowest to highest.

    Shares of the steps, since a supervised step and one of GRPO are not the same thing.
    """
    parts = [(name, found["parts"][name]) for name in names if name in found["parts"]]
    with style():
        figure = Figure(figsize=(7, 3.6), layout="constrained")
        axes = figure.subplots()
        for number, (name, part) in enumerate(parts):
            steps = np.array([step for step, _ in part["curves"][0]])  # [evaluations]
            length = min(map(len, part["curves"]))
            scores = np.array(
                [[score for _, score in curve[:length]] for curve in part["curves"]]
            )  # [seeds, evaluations]
            share = steps[:length] / max(1, steps[-1])  # [evaluations]
            colour = COLOURS[number % len(COLOURS)]
            axes.plot(
                share, scores.mean(0), color=colour, linestyle=LINES[number % len(LINES)],
                marker=MARKERS[number % len(MARKERS)], markersize=4, label=name.partition("/")[2],
            )  # fmt: skip
            axes.fill_between(share, scores.min(0), scores.max(0), color=colour, alpha=0.12, linewidth=0)
        axes.set(xlabel="share of the training steps", ylabel="held-out pass@1", ylim=(-0.02, 1.02), title=title)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return figure

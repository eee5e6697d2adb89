"""The paper's figures from files of runs: curves (5, 7-14), radar charts of bugs (6, 15-19), where a step's time goes.

For notebooks/ and the HTML report. Made for print and for the colour-blind: Okabe and Ito's colours, and a line style,
a marker or a hatching of its own beside each.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rollout.pass_at_k import running_mean, smoothing
from study.bugs.themes import TITLES, Theme
from study.run_data import Run

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "+++", "ooo", "---")
VERDICTS = {  # good at the bottom, each of one colour in every figure
    "passed": "#009e73",
    "wrong_output": "#56b4e9",
    "runtime_error": "#e69f00",
    "compile_error": "#d55e00",
    "timeout": "#cc79a7",
    "output_limit": "#0072b2",
    "memory_limit": "#f0e442",
    "no_program": "#999999",
    "infrastructure_error": "#000000",
}
PHASES = {
    "seconds/sample": "sampling",
    "seconds/wait": "waiting for verdicts",
    "seconds/update": "update",
    "seconds/sync": "weight sync",
}


def style() -> AbstractContextManager[None]:
    """Use around drawing: sizes that survive a paper's column."""
    return matplotlib.rc_context(
        {
            "font.size": 9,
            "axes.titlesize": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.3,
            "legend.frameon": False,
            "legend.handlelength": 3,  # dashes show
            "lines.linewidth": 1.6,
            "hatch.linewidth": 0.5,
        }
    )


def png(figure: Figure) -> bytes:
    """The figure as a PNG."""
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def show(figure: Figure) -> None:
    """In a notebook."""
    from IPython.display import Image, display

    display(Image(png(figure), width=640))


def batch_curves(runs: Sequence[Run]) -> Figure:
    """Batch pass@1 of several runs over one axis of steps, and its running mean (figures 5 and 8)."""
    with style():
        figure = Figure(figsize=(6, 3.4), layout="constrained")
        axes = figure.subplots()
        window = smoothing(max((len(run.series("pass@1")[0]) for run in runs), default=0))
        for number, run in enumerate(runs):
            steps, values = run.series("pass@1")
            colour = COLOURS[number % len(COLOURS)]
            axes.plot(steps, values, color=colour, linewidth=0.5, alpha=0.35)
            axes.plot(
                steps, running_mean(values, window), color=colour, linestyle=LINES[number % len(LINES)], label=run.name
            )
        axes.set(title=f"Batch pass@1 (bold: mean of {window} batches)")
        _shares(axes, len(runs))
        return figure


def heldout_curves(runs: Sequence[Run]) -> Figure:
    """Held-out pass@1 of several runs (figure 9)."""
    with style():
        figure = Figure(figsize=(6, 3.4), layout="constrained")
        axes = figure.subplots()
        for number, run in enumerate(runs):
            axes.plot(
                *run.series("heldout/pass@1"),
                color=COLOURS[number % len(COLOURS)],
                linestyle=LINES[number % len(LINES)],
                marker=MARKERS[number % len(MARKERS)],
                markersize=5,
                label=run.name,
            )
        axes.set(title="Held-out pass@1")
        _shares(axes, len(runs))
        return figure


def run_curve(run: Run) -> Figure:
    """One run: pass@1 of each batch, its running mean, and held-out pass@1 with 95 % intervals (figures 10 to 14)."""
    with style():
        figure = Figure(figsize=(6, 3.4), layout="constrained")
        axes = figure.subplots()
        steps, values = run.series("pass@1")
        window = smoothing(len(values))
        axes.plot(steps, values, color=COLOURS[5], linewidth=0.7, alpha=0.7, label="batch")
        axes.plot(steps, running_mean(values, window), color=COLOURS[0], label=f"mean of {window} batches")
        held, scores = run.series("heldout/pass@1")
        axes.plot(held, scores, color=COLOURS[1], linestyle="--", marker="o", markersize=5, label="held out")
        for step, score in zip(held, scores, strict=True):
            if (found := run.heldout(step)) and found.get("pass@1"):
                low, high = found["pass@1"]["low"], found["pass@1"]["high"]
                axes.plot([step, step], [min(low, score), max(high, score)], color=COLOURS[1], linewidth=0.9, alpha=0.6)
        axes.set(title=run.name)
        _shares(axes, 3)
        return figure


def _shares(axes: Axes, entries: int) -> None:
    axes.set(xlabel="step", ylabel="pass@1", ylim=(-0.02, 1.02))
    if entries:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5)) if entries > 3 else axes.legend(loc="best")


def verdict_areas(run: Run) -> Figure:
    """The shares of each verdict in the batches of a run."""
    with style():
        figure = Figure(figsize=(6, 3.4), layout="constrained")
        axes = figure.subplots()
        rows = [row for row in run.metrics if any(key.startswith("verdict/") for key in row)]
        steps = [row["step"] for row in rows]
        names = [name for name in VERDICTS if any(row.get(f"verdict/{name}") for row in rows)]
        shares = [[row.get(f"verdict/{name}", 0.0) for row in rows] for name in names]
        areas = axes.stackplot(steps, shares, colors=[VERDICTS[name] for name in names], labels=names, alpha=0.85)
        for area, hatch in zip(areas, HATCHES, strict=False):
            area.set(hatch=hatch, edgecolor="white", linewidth=0.3)
        axes.set(xlabel="step", ylabel="share of the batch", ylim=(0, 1), title=f"Verdicts of {run.name}")
        if len(steps) > 1:
            axes.set_xlim(steps[0], steps[-1])
        axes.grid(False)
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5))
        return figure


def step_profile(run: Run) -> Figure:
    """Where each step's seconds went, and below it what verification added that sampling did not hide."""
    with style():
        figure = Figure(figsize=(6, 4.6), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        rows = [row for row in run.metrics if "seconds/step" in row]
        steps = [row["step"] for row in rows]
        floor = [0.0] * len(rows)
        phases = dict(PHASES)
        if run.config.get("samplers"):  # some ranks sample while the others update, and wait for them
            del phases["seconds/sample"]
            phases["seconds/wait"] = "waiting for samplers"
        for number, (key, label) in enumerate(phases.items()):
            values = [row.get(key, 0.0) for row in rows]
            above.bar(
                steps, values, bottom=floor, width=0.9, label=label, color=COLOURS[number], hatch=HATCHES[number],
                edgecolor="white", linewidth=0.2,
            )  # fmt: skip
            floor = [a + b for a, b in zip(floor, values, strict=True)]
        above.set(ylabel="seconds", title=f"Time of a step: {run.name}")
        above.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        below.plot(*run.series("wait_share"), color=COLOURS[1], marker=".", label="waiting")
        below.set(xlabel="step", ylabel="share of the step\nspent waiting", ylim=(0, None))
        return figure


def throughput(run: Run) -> Figure:
    """Sampled tokens and verified programs per second, by step."""
    with style():
        figure = Figure(figsize=(6, 3.8), layout="constrained")
        panels = figure.subplots(2, 1, sharex=True)
        for number, (axes, key, label) in enumerate(
            zip(panels, ("tokens/s", "programs/s"), ("tokens per second", "programs per second"), strict=True)
        ):
            axes.plot(*run.series(key), color=COLOURS[number], linestyle=LINES[number], marker=".")
            axes.set(ylabel=label, ylim=(0, None))
        panels[0].set(title=f"Throughput: {run.name}")
        panels[1].set(xlabel="step")
        return figure


def radar(found: Mapping[str, Mapping[str, float]], title: str = "") -> Figure:
    """Shares of programs by theme of bug, one polygon a labelled set (figures 6 and 15 to 19)."""
    themes = list(Theme)
    angles = [2 * math.pi * number / len(themes) for number in range(len(themes))]
    with style():
        figure = Figure(figsize=(6, 4.6), layout="constrained")
        axes: Any = figure.add_subplot(projection="polar")
        axes.set(theta_offset=math.pi / 2, theta_direction=-1)
        for number, (label, shares) in enumerate(found.items()):
            values = [shares.get(theme, 0.0) for theme in themes]
            colour = COLOURS[number % len(COLOURS)]
            axes.plot(
                [*angles, angles[0]], [*values, values[0]], color=colour, linestyle=LINES[number % len(LINES)],
                marker=MARKERS[number % len(MARKERS)], markersize=4, label=label,
            )  # fmt: skip
            axes.fill(angles, values, color=colour, alpha=0.08)
        axes.set_xticks(angles, [_broken(TITLES[theme]) for theme in themes])
        axes.tick_params(axis="x", pad=6)
        for angle, text in zip(angles, axes.get_xticklabels(), strict=True):
            side = math.sin(angle)
            text.set_horizontalalignment("center" if abs(side) < 0.1 else "left" if side > 0 else "right")
        top = max((value for shares in found.values() for value in shares.values()), default=0.0)
        step = next(step for step in (0.05, 0.1, 0.2, 0.25) if top <= 4 * step or step == 0.25)
        rings = [step * n for n in range(1, max(2, math.ceil(top / step - 1e-9)) + 1)]
        axes.set_yticks(rings, [f"{ring:.0%}" for ring in rings], color="#555555", fontsize=7)
        axes.set_ylim(0, rings[-1])
        axes.set_rlabel_position(180 / len(themes))
        axes.set_title(title, pad=16)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=max(1, min(2, len(found))))
        return figure


def _broken(title: str) -> str:
    """A title over two lines."""
    words = title.split()
    half = (len(words) + 1) // 2
    return " ".join(words[:half]) + "\n" + " ".join(words[half:])


def score_bars(found: Mapping[str, Mapping[str, Any]]) -> Figure:
    """pass@k of evaluations with 95 % intervals: {label: scores.json}."""
    with style():
        figure = Figure(figsize=(6, 0.9 + 0.45 * len(found)), layout="constrained")
        axes = figure.subplots()
        known = {key for scores in found.values() for key in scores if key.startswith("pass@")}
        ks = sorted(known, key=lambda key: int(key.partition("@")[2]))
        for number, key in enumerate(ks):
            label: str | None = key  # of the first that has such a score
            for line, scores in enumerate(found.values()):
                if score := scores.get(key):
                    place = line + 0.16 * (number - (len(ks) - 1) / 2)
                    axes.errorbar(
                        score["value"], place,
                        xerr=[[score["value"] - score["low"]], [score["high"] - score["value"]]],
                        color=COLOURS[number % len(COLOURS)], marker=MARKERS[number % len(MARKERS)], capsize=2,
                        markersize=5, linewidth=1.2, label=label,
                    )  # fmt: skip
                    label = None
        axes.set_yticks(range(len(found)), list(found))
        axes.set(xlim=(-0.02, 1.02), ylim=(len(found) - 0.5, -0.5), xlabel="share, with 95 % interval")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return figure

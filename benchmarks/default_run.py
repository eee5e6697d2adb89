"""The figures of docs/results/default-run.md: the default run for several seeds, as a table and a picture.

    python benchmarks/default_run.py [seeds=0,1,2] [picture=docs/learning_curve.png]

Trains `python train.py seed=...` one after the other (minutes each on two cores), prints a Markdown table and, as its
last line, one JSON object.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from matplotlib.figure import Figure

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from base import script  # noqa: E402
from base.command_line import Command, Names  # noqa: E402
from study import figures  # noqa: E402


def train(seed: str, folder: Path) -> list[dict[str, Any]]:
    """One default run; the rows of its metrics."""
    subprocess.run([sys.executable, ROOT / "train.py", f"seed={seed}", f"run_dir={folder}"], check=True)
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def heldout(rows: list[dict[str, Any]]) -> list[tuple[int, float]]:
    return [(row["step"], row["heldout/pass@1"]) for row in rows if "heldout/pass@1" in row]


def seconds(rows: list[dict[str, Any]]) -> float:
    """Of training: all steps and the held-out evaluations between them."""
    return float(sum(row.get("seconds/step", 0.0) + row.get("heldout/seconds", 0.0) for row in rows))


def draw(runs: dict[str, list[dict[str, Any]]], path: Path) -> None:
    with figures.style():
        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.subplots()
        looks = zip(figures.COLOURS, figures.LINES, figures.MARKERS, strict=True)
        for (seed, rows), (colour, line, marker) in zip(runs.items(), looks, strict=False):
            rewards = [row["reward"] for row in rows if row.get("reward") is not None]
            axes.plot(range(1, len(rewards) + 1), rewards, color=colour, linewidth=0.6, alpha=0.5)
            axes.plot(
                *zip(*heldout(rows), strict=True), color=colour, linestyle=line, marker=marker, label=f"seed {seed}"
            )
        axes.set(xlabel="step", ylabel="share of programs that pass", ylim=(-0.02, 1.02))
        axes.set_title("Tiny policy, Lua: held-out pass@1 (marks) and reward of each batch (thin)")
        axes.legend(loc="lower right")
    path.write_bytes(figures.png(figure))


class Arguments(Command):
    usage: ClassVar[str] = "python benchmarks/default_run.py seeds=0,1,2"

    seeds: Names = ("0", "1", "2")
    picture: str = "docs/learning_curve.png"


def main() -> None:
    arguments = Arguments.parse(sys.argv[1:])
    with tempfile.TemporaryDirectory() as scratch:
        runs = {seed: train(seed, Path(scratch) / seed) for seed in arguments.seeds}
    draw(runs, ROOT / arguments.picture)
    print("\n| seed | held-out pass@1 before | after | training |\n|---|---|---|---|")
    for seed, rows in runs.items():
        scores = heldout(rows)
        print(f"| {seed} | {scores[0][1]:.1%} | {scores[-1][1]:.1%} | {seconds(rows):.0f} s |")
    print(json.dumps({seed: [heldout(rows)[0][1], heldout(rows)[-1][1], seconds(rows)] for seed, rows in runs.items()}))


if __name__ == "__main__":
    with script.one_sentence("interrupted"):
        main()

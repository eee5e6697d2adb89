"""What several runs spent, and how they score at what the cheapest of them spent (run/cost.py counts it).

python -m study.cost runs/A runs/B
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from base import script
from base.text import visible
from run.cost import Cost, summary
from study.run_data import Run


def score_within(rows: Sequence[Mapping[str, Any]], tokens: int) -> float | None:
    """The last held-out pass@1 of a trained policy that had cost at most so many token-equivalents."""
    found = [
        float(row["heldout/pass@1"])
        for row in rows
        if row["step"] > 0 and row.get("heldout/pass@1") is not None and Cost.of_row(row).tokens <= tokens
    ]
    return found[-1] if found else None


def table(runs: Mapping[str, Run]) -> Table:
    """One column a run; the last row compares them at what the cheapest of them spent in all."""
    counted = {name for name, run in runs.items() if any(key.startswith("cost/") for key in run.metrics[-1])}
    budget = min((Cost.of_row(runs[name].metrics[-1]).tokens for name in counted), default=0)
    found = Table(title="what was spent, and what it gave")
    found.add_column("", no_wrap=True)
    figures = []
    for name, run in runs.items():
        rows, method = run.metrics, str(run.config.get("method", "grpo"))
        found.add_column(Text(visible(name)), justify="right", overflow="fold")
        short = summary(rows, method)
        cost, held = short["cost"], short["heldout"] or {}
        share = "" if short["accepted_share"] is None else f" ({100 * short['accepted_share']:.1f}%)"
        spent = {
            "samples": f"{cost['samples']:,}",
            "sampled tokens": f"{cost['sampled_tokens']:,}",
            "accepted programs": f"{cost['accepted']:,}{share}",
            "trained tokens": f"{cost['trained_tokens']:,}",
            "token-equivalents": f"{cost['token_equivalents']:,}",
        }
        within = score_within(rows, budget)
        if name not in counted:  # from before there were counters: its cost is unknown, not zero
            spent, within = dict.fromkeys(spent, "-"), None
        figures.append(
            {
                "method": visible(method),
                **spent,
                "held-out pass@1 before, %": _percent(held.get("before")),
                "after, %": _percent(held.get("after")),
                f"within {budget:,} token-equivalents, %": _percent(within),
            }
        )
    for label in figures[0]:
        found.add_row(label, *(Text(one[label]) for one in figures))
    return found


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def main(names: list[str]) -> None:
    if not names:
        sys.exit("error: name one run or more: python -m study.cost runs/A runs/B")
    Console().print(table({name: Run.read(name) for name in names}))


if __name__ == "__main__":
    with script.one_sentence("interrupted"):
        main(sys.argv[1:])

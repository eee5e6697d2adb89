"""What a run has spent, so that methods are compared at equal compute: samples, tokens, accepted programs.

    python -m policy.cost runs/A runs/B     # one table of several runs, and their scores at what the cheapest spent

Every row of metrics.jsonl has these counters as `cost/...`, from the run's start (docs/metrics.md). The table adds them
up as token-equivalents: a sampled token costs one forward pass, a trained token a forward and a backward pass, three
times as much. Left out are prompts, held-out evaluations, verification, and how much larger a teacher is.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from policy.run_data import Run
from problems.problem import DataError

TRAINED = 3  # times the FLOPs of a sampled token


@dataclass
class Cost:
    samples: int = 0  # completions drawn to learn from
    sampled_tokens: int = 0
    accepted: int = 0  # of the samples, programs that passed every test
    trained_tokens: int = 0  # completion tokens with a gradient, times epochs

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Cost:
        """The counters in a row of metrics.jsonl; 0 where it has none."""
        return cls(**{name: int(row.get(f"cost/{name}") or 0) for name in asdict(cls())})

    def row(self) -> dict[str, int]:
        return {f"cost/{name}": value for name, value in asdict(self).items()}

    def add(self, samples: int, sampled_tokens: int, accepted: int, trained_tokens: float) -> None:
        self.samples += samples
        self.sampled_tokens += sampled_tokens
        self.accepted += accepted
        self.trained_tokens += int(trained_tokens)

    @property
    def tokens(self) -> int:
        """Token-equivalents."""
        return self.sampled_tokens + TRAINED * self.trained_tokens


def summary(rows: Sequence[Mapping[str, Any]], method: str) -> dict[str, Any]:
    """A run in a few figures: its held-out pass@1 before, after and at best, and what it cost."""
    scored = [row for row in rows if row.get("heldout/pass@1") is not None]
    values = [float(row["heldout/pass@1"]) for row in scored]
    cost = Cost.of_row(rows[-1]) if rows else Cost()
    return {
        "method": method,
        "steps": rows[-1]["step"] if rows else 0,
        "heldout": {"before": values[0], "after": values[-1], "best": max(values)} if values else None,
        "cost": {**asdict(cost), "token_equivalents": cost.tokens},
        "accepted_share": cost.accepted / cost.samples if cost.samples else None,
    }


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
    budget = min(Cost.of_row(run.metrics[-1]).tokens for run in runs.values())
    found = Table(title="what was spent, and what it gave")
    found.add_column("", no_wrap=True)
    figures = []
    for name, run in runs.items():
        rows, method = run.metrics, str(run.config.get("method", "grpo"))
        found.add_column(name, justify="right", overflow="fold")
        short = summary(rows, method)
        cost, held = short["cost"], short["heldout"] or {}
        share = "" if short["accepted_share"] is None else f" ({100 * short['accepted_share']:.1f}%)"
        figures.append(
            {
                "method": method,
                "samples": f"{cost['samples']:,}",
                "sampled tokens": f"{cost['sampled_tokens']:,}",
                "accepted programs": f"{cost['accepted']:,}{share}",
                "trained tokens": f"{cost['trained_tokens']:,}",
                "token-equivalents": f"{cost['token_equivalents']:,}",
                "held-out pass@1 before, %": _percent(held.get("before")),
                "after, %": _percent(held.get("after")),
                f"within {budget:,} token-equivalents, %": _percent(score_within(rows, budget)),
            }
        )
    for label in figures[0]:
        found.add_row(label, *(one[label] for one in figures))
    return found


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def main(names: list[str]) -> None:
    if not names:
        sys.exit("error: name one run or more: python -m policy.cost runs/A runs/B")
    try:
        runs = {name: Run.read(name) for name in names}
    except DataError as error:
        sys.exit(f"error: {error}")
    Console().print(table(runs))


if __name__ == "__main__":
    main(sys.argv[1:])

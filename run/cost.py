"""What a run has spent, so that methods are compared at equal compute: samples, tokens, accepted programs.

Every row of metrics.jsonl has these counters as `cost/...`, from the run's start (docs/reference/metrics.md);
study/cost.py compares runs by them. Token-equivalents add them up: a sampled token costs one forward pass, a trained
token a forward and a backward pass, three times as much. Left out are prompts, held-out evaluations, verification, and
how much larger a teacher is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

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


def before_and_after(rows: Sequence[Mapping[str, Any]]) -> tuple[float | None, float | None]:
    """Held-out pass@1 before training and after the last step. None where that evaluation is missing or gave no score:
    the last score there is would be that of an earlier policy."""
    scores = {row["step"]: row.get("heldout/pass@1") for row in rows}
    return scores.get(0), scores[rows[-1]["step"]] if rows and rows[-1]["step"] else None


def summary(rows: Sequence[Mapping[str, Any]], method: str) -> dict[str, Any]:
    """A run in a few figures: its held-out pass@1 before, after and at best, and what it cost."""
    before, after = before_and_after(rows)
    values = [float(row["heldout/pass@1"]) for row in rows if row.get("heldout/pass@1") is not None]
    cost = Cost.of_row(rows[-1]) if rows else Cost()
    return {
        "method": method,
        "steps": rows[-1]["step"] if rows else 0,
        "heldout": {"before": before, "after": after, "best": max(values)} if values else None,
        "cost": {**asdict(cost), "token_equivalents": cost.tokens},
        "accepted_share": cost.accepted / cost.samples if cost.samples else None,
    }

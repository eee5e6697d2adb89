"""claims.json as Markdown."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from study import report

WORDS = {"more": "more than", "less": "less than", "same": "as much as"}


def page(found: dict[str, Any]) -> str:
    """A table of claims, then one of the parts behind them."""
    claims = [
        [claim["claim"], claim["source"], _asked(row), str(len(row["seeds"])), *_figures(row), f"**{row['verdict']}**"]
        for claim in found["claims"]
        for row in claim["compare"]
    ]
    parts = [
        [
            name,
            " ".join(f"`{word}`" for word in part["words"]) or "(the start's own)",
            str(len(part["seeds"])),
            _percent(fmean(curve[0][1] for curve in part["curves"])),
            _percent(fmean(curve[-1][1] for curve in part["curves"])),
            f"{part['programs']:,.0f}",
            f"{part['token_equivalents'] / 1e3:,.0f}",
        ]
        for name, part in found["parts"].items()
    ]
    return (
        report.table(
            ["claim", "source", "asked", "seeds", "this, %", "that, %", "difference [95 %], points", "verdict"],
            claims,
            words=3,
        )
        + "\n"
        + report.table(
            ["part", "words", "seeds", "held-out before, %", "after, %", "programs", "token-equivalents, thousands"],
            parts,
            words=2,
        )
    )


def _asked(row: dict[str, Any]) -> str:
    this, that = (f"{row[side]['part']} {row[side]['measure']}" for side in ("this", "that"))
    return f"{this} {WORDS[row['expected']]} {that}"


def _figures(row: dict[str, Any]) -> list[str]:
    if row["verdict"] == "not run":
        return ["", "", ""]
    gap = row["difference"]
    interval = f"{100 * gap['mean']:+.1f} [{100 * gap['low']:+.1f}, {100 * gap['high']:+.1f}]"
    return [*map(_percent, row["means"]), interval]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"

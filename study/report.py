"""Scores for people: lines of a table, and a page in Markdown."""

from __future__ import annotations

from typing import Any

Scores = dict[str, Any]  # a scores.json


NO_SCORE = "none: every verdict is an infrastructure error"


def percent(score: dict[str, float] | None) -> str:
    """A score with its interval, in percent; without a score, why there is none."""
    if score is None:
        return NO_SCORE
    return f"{100 * score['value']:.1f} [{100 * score['low']:.1f}, {100 * score['high']:.1f}]"


def lines(found: Scores) -> list[tuple[str, str]]:
    """(name, value) of everything but the problems."""
    rows = [(f"{key}, % [95 % interval]", percent(value)) for key, value in found.items() if key.startswith("pass@")]
    rows += [(status, f"{100 * share:.1f} %") for status, share in found["verdicts"].items()]
    if found["infrastructure_errors"]:
        rows.append(("left out: infrastructure errors", str(found["infrastructure_errors"])))
    if found["unanswered"]:
        rows.append(("left out: never answered", str(found["unanswered"])))
    rows.append(("cut at max_new_tokens", f"{100 * found['unfinished']:.1f} %"))
    rows.append(("tokens per answer", f"{found['completion_tokens'] / max(1, found['samples']):.0f}"))
    rows.append(("seconds", f"{found['seconds']:.0f}"))
    return rows


def table(header: list[str], rows: list[list[str]], words: int = 1) -> str:
    """A Markdown table, its first `words` columns to the left, the others to the right. Cells are free text."""
    rule = ["---"] * words + ["---:"] * (len(header) - words)
    cells = [header, rule, *rows]
    cells = [[" ".join(cell.splitlines()).replace("\\", r"\\").replace("|", r"\|") for cell in row] for row in cells]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def page(found: Scores) -> str:
    """The whole of a scores.json as a Markdown page."""
    protocol = ", ".join(f"{key} {value}" for key, value in found["protocol"].items())
    problems = [
        [row["problem"], str(row["samples"]), str(row["passed"]), verdicts(row["verdicts"])]
        for row in found["per_problem"]
    ]
    return (
        f"# {found['model']} in {found['language']} on {found['dataset']}\n\n"
        f"{found['problems']} problems, {found['samples']} samples ({protocol}).\n\n"
        + table(["score", "value"], [list(line) for line in lines(found)])
        + "\n"
        + table(["problem", "samples", "passed", "verdicts"], problems)
    )


def verdicts(counts: dict[str, int]) -> str:
    """Counts of verdicts, the most frequent first."""
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items(), key=lambda item: -item[1]))

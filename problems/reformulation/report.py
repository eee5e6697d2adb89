"""What became of every task: rows.jsonl as it happens, and the report over it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from base.errors import DataError
from base.jsonl import RowLog
from problems.problem import Problem
from problems.reformulation import REASONS


@dataclass
class Row:
    """A task that is done. `refusals` are those of its answers, in order; of a dropped task the last is its reason."""

    id: str
    kept: bool
    refusals: list[dict[str, str]] = field(default_factory=list)  # {reason, detail}
    ran: bool = False  # the task's own solution was run on the tests, and agreed
    prompt_tokens: int = 0
    completion_tokens: int = 0
    problem: dict[str, Any] | None = None  # of a kept task, as Problem.to_row writes it


class RowFile:
    """A row for each finished task, in the order of finishing. What a kill cuts off is done again."""

    def __init__(self, path: Path) -> None:
        """Raises DataError for a file that holds something else, RunError where it cannot be written."""
        self.rows: dict[str, Row] = {}
        self._log = RowLog(path)
        for place, found in self._log.rows():
            try:
                row = Row(**found)
            except TypeError as error:
                raise DataError(f"{path}, byte {place}: no row of a reformulation ({error})") from error
            self.rows[row.id] = row

    def add(self, row: Row) -> None:
        self._log.add(asdict(row))
        self.rows[row.id] = row


def summary(rows: Sequence[Row], open_tasks: Mapping[str, str], about: Mapping[str, Any]) -> dict[str, Any]:
    """The report as one JSON object, a pure function of its arguments. `open_tasks`: id -> why it is not done."""
    dropped = [row for row in rows if not row.kept]
    return {
        **about,
        "tasks": len(rows) + len(open_tasks),
        "kept": len(rows) - len(dropped),
        "kept_and_run": sum(row.kept and row.ran for row in rows),
        "kept_after_refusals": sum(row.kept and bool(row.refusals) for row in rows),
        "dropped": len(dropped),
        "dropped_by_reason": _by_reason(row.refusals[-1]["reason"] for row in dropped),
        "refusals_by_reason": _by_reason(refusal["reason"] for row in rows for refusal in row.refusals),
        "prompt_tokens": sum(row.prompt_tokens for row in rows),
        "completion_tokens": sum(row.completion_tokens for row in rows),
        "open": dict(open_tasks),
        "dropped_tasks": [{"id": row.id, "answers": len(row.refusals), **row.refusals[-1]} for row in dropped],
    }


def _by_reason(reasons: Any) -> dict[str, int]:
    counts = Counter(reasons)
    return {reason: counts[reason] for reason in REASONS if counts[reason]}


def markdown(report: Mapping[str, Any]) -> str:
    """The report for people."""
    lines = [
        f"# Reformulation of {report['dataset']} by {report['model']}",
        "",
        "| tasks | kept | of these run in the sandbox | kept after a refusal | dropped | open |",
        "|---|---|---|---|---|---|",
        f"| {report['tasks']} | {report['kept']} | {report['kept_and_run']} | {report['kept_after_refusals']} "
        f"| {report['dropped']} | {len(report['open'])} |",
        "",
        "| reason | what it means | tasks dropped | answers refused |",
        "|---|---|---|---|",
    ]
    for reason, count in report["refusals_by_reason"].items():
        lines.append(f"| {reason} | {REASONS[reason]} | {report['dropped_by_reason'].get(reason, 0)} | {count} |")
    if report["dropped_tasks"]:
        lines += ["", "| dropped | reason | the last refusal |", "|---|---|---|"]
        lines += [f"| {row['id']} | {row['reason']} | {_cell(row['detail'])} |" for row in report["dropped_tasks"]]
    if report["open"]:
        lines += ["", "| open | why |", "|---|---|"]
        lines += [f"| {name} | {_cell(why)} |" for name, why in report["open"].items()]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")[:300]


def table(report: Mapping[str, Any]) -> Table:
    """The report for a terminal."""
    shown = Table(title=escape(f"{report['dataset']} by {report['model']}"))
    shown.add_column("")
    shown.add_column(f"of {report['tasks']} tasks", justify="right")
    shown.add_row("kept", str(report["kept"]))
    shown.add_row("  run in the sandbox, outputs agree", str(report["kept_and_run"]))
    shown.add_row("  after a refusal", str(report["kept_after_refusals"]))
    shown.add_row("dropped", str(report["dropped"]))
    for reason, count in report["dropped_by_reason"].items():
        shown.add_row(f"  {reason}", str(count))
    if report["open"]:
        shown.add_row("open, to be asked again", str(len(report["open"])))
    return shown


def problems(rows: Sequence[Row]) -> list[Problem]:
    """The problems of the kept tasks."""
    return [Problem.from_row(row.problem, row.id) for row in rows if row.kept]

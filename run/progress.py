"""What a run shows: one live line on a terminal, a timed line a step elsewhere, a few completions now and then."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from rollout.rollout import Rollout

FIELDS = ("step", "reward", "pass@1", "tokens/s", "programs/s")


class RunProgress:
    """Use as a context manager around the training loop."""

    def __init__(self, steps: int, first: int, heldout: float | None = None, shows: bool = True) -> None:
        """`heldout`: the last score of a run that goes on. `shows`: False on all ranks but the first."""
        self.console = Console(quiet=not shows)
        self.steps = steps
        self.started = time.perf_counter()
        self.first = first
        self.heldout = heldout
        self.bar: Progress | None = None
        self.task: TaskID | None = None

    def __enter__(self) -> RunProgress:
        if self.console.is_terminal:
            self.bar = Progress(
                TextColumn("step {task.completed}/{task.total}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[figures]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self.console,
            )
            self.task = self.bar.add_task("", total=self.steps, completed=self.first, figures="starting")
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def say(self, text: str) -> None:
        """A line of its own, with the seconds since the start."""
        self.console.print(
            f"[dim]{time.perf_counter() - self.started:7.1f} s[/dim]  {escape(text)}", highlight=False, soft_wrap=True
        )

    def step(self, row: dict[str, Any]) -> None:
        """Shows the metrics of a finished step."""
        if "reward" in row:
            speed = f"{row['tokens/s']:.0f} tokens/s  {row['programs/s']:.2g} programs/s"
            figures = f"reward {row['reward'] or 0.0:.2f}  {self._score()}  {speed}"
        else:  # supervised
            figures = f"loss {row['loss']:.3f}  {self._score()}  {row['trained_tokens']:.0f} tokens"
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, completed=row["step"], figures=figures)
        else:
            done = row["step"] - self.first
            left = (time.perf_counter() - self.started) / done * (self.steps - row["step"])
            self.say(f"step {row['step']}/{self.steps}  {figures}  {timedelta(seconds=round(left))} left")

    def _score(self) -> str:
        return "held-out -" if self.heldout is None else f"held-out {self.heldout:.2f}"

    def evaluated(self, step: int, score: float | None, rollouts: Sequence[Rollout]) -> None:
        """Shows a held-out score and one completion of it, in turn with the steps."""
        self.heldout = score
        known = "not known (the sandbox gave no verdict)" if score is None else f"{score:.3f}"
        self.say(f"held-out pass@1 after {step} steps: {known}")
        if rollouts:
            rollout = rollouts[(step * 7919) % len(rollouts)]
            title = f"{rollout.problem.id}: {rollout.verdict.status.value}"
            self.console.print(Panel(escape(rollout.completion.text.strip()), title=escape(title), width=100))

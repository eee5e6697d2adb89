"""How far a long piece of work is: a live line on a terminal, a timed line now and then elsewhere.

with Progress("answers", total=100) as progress:
    progress.show(done=7, figures="5 verified")
    progress.say("a line of its own")
"""

from __future__ import annotations

import sys
import time
from typing import IO, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress as Bar
from rich.progress import ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

LINE_EVERY_S = 10.0  # seconds between two lines where there is no terminal


class Figures(ProgressColumn):
    """What the terminal's edge cuts, so that the time left is always there. Text, so that nothing is read as markup."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["figures"], no_wrap=True, overflow="ellipsis")


class Progress:
    """Use as a context manager around the work. `console` may print above the line."""

    def __init__(
        self, what: str, total: int | None = None, *, first: int = 0, file: IO[str] | None = None, quiet: bool = False
    ) -> None:
        """`what` is counted, up to `total` (None: not known), from `first` on. `file`: standard error by default.

        `quiet`: shows nothing, as on every rank but the first.
        """
        self.console = Console(file=file or sys.stderr, quiet=quiet)
        self.what, self.total, self.first = what, total, first
        self.started = self._said = time.perf_counter()
        self.live = self.console.is_terminal and not quiet
        counted = "{task.completed:.0f}" + ("" if total is None else "/{task.total:.0f}")
        self._bar = Bar(
            SpinnerColumn(),
            TextColumn(f"{counted} {escape(what)}"),
            *((TimeElapsedColumn(),) if total is None else (TimeRemainingColumn(), TextColumn("left"))),
            Figures(),
            console=self.console,
            disable=not self.live,
        )
        self._task = self._bar.add_task("", total=total, completed=first, figures="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, done: int, figures: str = "", *, line: bool | None = None) -> None:
        """What is done so far. `line`: whether to print a line where there is no terminal; None: every ten seconds, and
        when all is done."""
        self._bar.update(self._task, completed=done, figures=figures)
        now = time.perf_counter()
        if line is None:
            line = now - self._said >= LINE_EVERY_S or done == self.total
        if line and not self.live:
            self._said = now
            of = "" if self.total is None else f"/{self.total}"
            self.say(f"{done}{of} {self.what}  {figures}".rstrip())

    def left(self, done: int) -> float:
        """Seconds until `total` is reached at the pace so far; infinite before the first is done."""
        if self.total is None or done <= self.first:
            return float("inf")
        return (time.perf_counter() - self.started) / (done - self.first) * (self.total - done)

    def say(self, text: str) -> None:
        """A line of its own, with the seconds since the start."""
        seconds = time.perf_counter() - self.started
        self.console.print(f"{seconds:7.1f} s  {text}", markup=False, highlight=False, soft_wrap=True)

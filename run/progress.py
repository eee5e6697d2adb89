"""What a run shows: one live line on a terminal, a timed line per step elsewhere, a few completions now and then."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Self

from rich.panel import Panel
from rich.text import Text

from base.progress import Progress
from base.text import visible
from rollout.rollout import Rollout


class RunProgress:
    """Use as a context manager around the training loop."""

    def __init__(self, steps: int, first: int, heldout: float | None = None, shows: bool = True) -> None:
        """`heldout`: the last score of a run that goes on. `shows`: False on all ranks but the first."""
        self.steps = steps
        self.heldout = heldout
        self._bar = Progress("steps", steps, first=first, file=sys.stdout, quiet=not shows)

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.__exit__(*error)

    def say(self, text: str) -> None:
        """A line of its own, with the seconds since the start."""
        self._bar.say(text)

    def step(self, row: dict[str, Any]) -> None:
        """Shows the metrics of a finished step."""
        score = "held-out -" if self.heldout is None else f"held-out {self.heldout:.2f}"
        if "reward" in row:
            programs = row["programs/s"]
            speed = f"{row['tokens/s']:.0f} tokens/s  {programs:{'.0f' if programs >= 10 else '.2g'}} programs/s"
            reward = "reward -" if row["reward"] is None else f"reward {row['reward']:.2f}"
            figures = f"{reward}  {score}  {speed}"
        else:  # supervised
            figures = f"loss {row['loss']:.3f}  {score}  {row['trained_tokens']:.0f} tokens"
        self._bar.show(row["step"], figures, line=False)
        if not self._bar.live:
            left = timedelta(seconds=round(self._bar.left(row["step"])))
            self.say(f"step {row['step']}/{self.steps}  {figures}  {left} left")

    def evaluated(self, step: int, score: float | None, rollouts: Sequence[Rollout]) -> None:
        """Shows a held-out score and one completion of it, in turn with the steps."""
        self.heldout = score
        known = "not known (the sandbox gave no verdict)" if score is None else f"{score:.3f}"
        self.say(f"held-out pass@1 after {step} steps: {known}")
        if rollouts:
            rollout = rollouts[(step * 7919) % len(rollouts)]
            title = f"{rollout.problem.id}: {rollout.verdict.status.value}"
            # As texts, not strings: rich reads [b] and :100: in a string as its own.
            panel = Panel(Text(visible(rollout.completion.text.strip())), title=Text(visible(title)), width=100)
            self._bar.console.print(panel)

"""A run while it goes on: its folder, its journal, what it shows, what watches it, and what stops it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from omegaconf import DictConfig

from base import script
from base.errors import Interrupted
from policy.model import Policy
from policy.ranks import Ranks
from rollout.rollout import Rollout, RolloutStats
from run import cost, run_folder, throughput
from run.cost import Cost
from run.curve import learning_curve
from run.journal import Journal
from run.progress import RunProgress
from run.signals import Interruption
from run.watchdog import Watchdog


class Run:
    """Use as a context manager around everything from the first evaluation to the last checkpoint."""

    def __init__(
        self,
        folder: Path,
        config: DictConfig,
        ranks: Ranks,
        first: int | None,
        steps: int,
        spent: Cost,
        pending: Callable[[], list[str]],
    ) -> None:
        """`first`: the step of the checkpoint that the run goes on from; None for a new run. `spent`: before its first
        step.

        `pending`: the ids of the programs without a verdict, for the watchdog.
        """
        self.folder, self.config, self.ranks = folder, config, ranks
        self.first, self.steps = first, steps
        self.seconds: dict[str, float] = defaultdict(float)  # of the present step, by phase
        self.journal = Journal(folder, config, writes=ranks.first)
        self.journal.rewind(-1 if first is None else first)
        # what the first rank reads, after it has rewound the file
        self.score: float | None = ranks.broadcast(lambda: self.journal.last("heldout/pass@1"))
        self.spent = (
            replace(spent) if first is None else ranks.broadcast(lambda: Cost.of_row((self.journal.rows() or [{}])[-1]))
        )
        # whether the weights that this begins with have their held-out evaluation
        self.evaluated: bool = ranks.broadcast(lambda: "heldout/seconds" in (self.journal.rows() or [{}])[-1])
        self._progress = RunProgress(steps, first or 0, self.score, shows=ranks.first)
        self._watchdog = Watchdog(float(config.stall_s), pending)
        self._interruption = Interruption(patient=ranks.world > 1)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self.journal.close)
            for part in (self._progress, self._watchdog, self._interruption):
                stack.enter_context(part)
            self._stack = stack.pop_all()
        resumed = f"resuming after step {self.first}" if self.first is not None else "training"
        self.say(f"{resumed} in {self.folder}")
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def say(self, text: str) -> None:
        """A line for people."""
        self._progress.say(text)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Times a part of the step; a part that takes longer than `stall_s` is reported."""
        self._watchdog.phase(name)
        started = time.perf_counter()
        if name == "sampling":  # where a step begins: evaluations and checkpoints are no part of it
            self._began = started
        yield
        self.seconds[name] += time.perf_counter() - started

    def interrupted(self) -> bool:
        """Whether any rank was asked to stop. All ranks call it in the same place."""
        return self.ranks.any(self._interruption.asked)

    def farewell(self, step: int) -> Interrupted:
        """What the user of an interrupted run reads, and can type."""
        place = script.word("run_dir", str(self.folder))
        return Interrupted(f"interrupted: saved after step {step}; the same command with {place} resume=auto goes on")

    def heldout(self, step: int, rollouts: Sequence[Rollout], scores: Mapping[str, Any]) -> dict[str, Any]:
        """Keeps a held-out evaluation and shows its score; returns its metrics."""
        self.score = scores["heldout/pass@1"]
        self.journal.rollouts(f"heldout_step_{step:06d}", rollouts)
        self._progress.evaluated(step, self.score, rollouts)
        return dict(scores)

    def row(
        self,
        step: int,
        stats: RolloutStats,
        figures: Mapping[str, float],
        policy: Policy,
        sleeping_bytes: int,
        **more: Any,
    ) -> dict[str, Any]:
        """The metrics of a finished step: `more`, then what was spent, the time of each phase, and the throughput.

        `sleeping_bytes`: of throughput.peak_memory_gib.
        """
        seconds = time.perf_counter() - self._began
        # Ranks that train wait in these two phases for those that only sample, and for verdicts as part of that.
        waited = self.seconds["sampling"] + self.seconds["sampling ahead"] if self.ranks.samplers else stats.wait
        self.spent.add(stats.programs, stats.tokens, stats.passed, figures["trained_tokens"])
        row = {
            "step": step,
            **more,
            **self.spent.row(),
            "seconds/sample": stats.sample,
            "seconds/wait": waited,
            "seconds/update": self.seconds["update"],
            "seconds/sync": self.seconds["weight sync"],
            "seconds/step": seconds,
            "wait_share": waited / seconds,
            "sampled_tokens": stats.tokens,
            "tokens/s": stats.tokens / seconds,
            "programs/s": stats.programs / seconds,
            **throughput.utilisation(policy, figures["forward_tokens"], self.seconds["update"], self.ranks),
            "memory_gib": throughput.peak_memory_gib(sleeping_bytes),
        }
        self.seconds.clear()
        return row

    def log(self, row: dict[str, Any]) -> None:
        """Writes a step's metrics and shows them."""
        self.journal.log(row)
        if row["step"] > (self.first or 0):
            self._progress.step(row)

    def draw_curve(self) -> None:
        if self.ranks.first:
            learning_curve(self.journal.rows(), self.folder / "learning_curve.png", self.folder.name)

    def score_of(self, step: int) -> float | None:
        """The held-out score of the weights after `step`, or None: an older score is not theirs. For the first rank,
        which saves it: others might read a line that it is writing."""
        if not self.ranks.first:
            return None
        row = (self.journal.rows() or [{}])[-1]
        return row.get("heldout/pass@1") if row.get("step") == step else None

    def finish(self, method: str) -> None:
        """Notes that all steps are done."""
        self.say(f"done: {self.folder}/checkpoints/step_{self.steps:06d} is a model that from_pretrained loads")
        if self.ranks.first:
            run_folder.finish(self.folder, cost.summary(self.journal.rows(), method))

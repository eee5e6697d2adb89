"""Sources of batches: what differs between ways of training hides behind one interface.

OnPolicy         the policy's own rollouts, sampled with the weights that they will train (curriculum, resampling)
OneStepAhead     the same, sampled while the batch before it is trained on, with weights that are one update old: the
                 asynchronous, one-step off-policy way
VerifiedAnswers  answers collected before the first step (training/supervised.py), with a loss of their own
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from base.errors import RunError
from base.seeds import derive_seed
from languages import Language
from policy.samplers.sampler import Sampling
from rollout.advantage import assign_advantages, flat_groups, groups_of, is_flat
from rollout.curriculum import Curriculum
from rollout.heldout import by_language, pass_at_1, verdict_shares
from rollout.reward import RewardFunction, rewards_of
from rollout.rollout import Rollout, RolloutStats, RolloutWorker
from run.cost import Cost
from sandbox.job import Status
from training.settings import TrainSettings
from training.update import Objective

BROKEN_BATCHES = 3  # one after the other without a single verdict, before the run stops


@dataclass
class Batch:
    """What one step trains on."""

    rollouts: list[Rollout]
    stats: RolloutStats = field(default_factory=RolloutStats)
    drawn: list[Rollout] = field(default_factory=list)  # all that were sampled for it, where some were replaced


@dataclass
class SourceState:
    """The state that a source resumes a step from; checkpoints hold it."""

    curriculum: dict[str, Any] = field(default_factory=dict)
    ahead: Batch | None = None  # the step's batch, where it cannot be drawn again


class Batches(Protocol):
    objective: Objective
    cost: Cost  # of getting ready

    @property
    def steps(self) -> int: ...

    @property
    def about(self) -> str:
        """A line for people on what there is to learn from, or ""."""

    def take(self, step: int) -> Batch:
        """The batch of `step` (from 0)."""

    def prefetch(self, step: int) -> None:
        """Called while `step - 1` is trained on, before its weights are handed over."""

    def state(self, step: int) -> SourceState:
        """What is needed to take `step` next."""

    def summary(self, step: int, batch: Batch, figures: Mapping[str, float]) -> dict[str, Any]:
        """What a step's row of metrics says of its batch and of the update, whose figures these are."""


@dataclass
class OnPolicy:
    """Batches that the policy samples when they are taken; zero-variance groups are replaced in `resample` rounds."""

    worker: RolloutWorker
    curriculum: Curriculum
    languages: Sequence[Language]
    reward: RewardFunction
    objective: Objective
    sampling: Sampling
    steps: int
    settings: TrainSettings

    def __post_init__(self) -> None:
        self.cost, self.about = Cost(), ""
        self.taken: tuple[int, Batch] | None = None  # what the curriculum has not observed yet
        self._broken = 0  # batches without a verdict, one after the other

    def take(self, step: int) -> Batch:
        """Raises RunError where the sandbox gives no verdicts any more."""
        self._observe_before(step)
        batch = self.sample(step)
        self.taken = step, batch
        self._broken = 0 if any(r.reward is not None for r in batch.rollouts) else self._broken + 1
        broken = next((r for r in batch.rollouts if r.verdict.status is Status.INFRASTRUCTURE_ERROR), None)
        if self._broken == BROKEN_BATCHES and broken:
            raise RunError(
                f"the sandbox gave no verdict on any program of {BROKEN_BATCHES} batches ({broken.verdict.message}); "
                "python -m sandbox.check says what is wrong with it"
            )
        return batch

    def sample(self, step: int) -> Batch:
        """Draws the batch of `step`, with rewards and advantages."""
        asked = self.curriculum.batch(step, self.settings.prompts, self.settings.seed)
        batch, flat = Batch([]), 0
        for attempt in range(1 + self.settings.resample):
            if attempt:
                seed = derive_seed(self.settings.seed, "resample", step, attempt - 1)
                asked = self.curriculum.batch(step, flat, seed)
            drawn, stats = self.worker.roll_out(
                asked,
                turns(self.languages, step, len(asked)),
                self.settings.group,
                self.sampling,
                derive_seed(self.settings.seed, "train", step, *([attempt] if attempt else [])),
                all_tests=getattr(self.reward, "all_tests", False),
            )
            self._reward(drawn)
            batch.stats += stats
            batch.drawn += drawn
            batch.rollouts = keep_informative([*batch.rollouts, *drawn], self.settings.prompts, self.settings.group)
            flat = flat_groups(batch.rollouts, self.settings.group)
            if not flat:
                break
        assign_advantages(batch.rollouts, self.settings.group, self.settings.advantage)
        for rollout in batch.rollouts:
            rollout.masked = self.settings.overlong == "mask" and not rollout.completion.finished
        return batch

    def _reward(self, drawn: Sequence[Rollout]) -> None:
        """By the first rank alone: a function of the user's own may not answer two ranks alike, and batches would
        part."""
        groups = groups_of(drawn, self.settings.group)
        rewards = self.worker.ranks.broadcast(lambda: rewards_of(groups, self.reward))
        for rollout, reward in zip(drawn, rewards, strict=True):
            rollout.reward = reward

    def prefetch(self, step: int) -> None:
        """Nothing: these batches want the newest weights."""

    def state(self, step: int) -> SourceState:
        self._observe_before(step)
        return SourceState(self.curriculum.state)

    def _observe_before(self, step: int) -> None:
        """The curriculum learns from a batch once the next step is due: one that is taken again is not counted
        twice."""
        if self.taken is not None and self.taken[0] < step:
            drawn = self.taken[1].drawn
            self.curriculum.observe((r.problem.id, r.verdict.passed) for r in drawn if r.reward is not None)
            self.taken = None

    def summary(self, step: int, batch: Batch, figures: Mapping[str, float]) -> dict[str, Any]:
        rollouts = batch.rollouts
        lengths = [len(rollout.completion.tokens) for rollout in rollouts]
        return {
            "reward": mean_reward(rollouts),
            "pass@1": pass_at_1(rollouts),
            **by_language(rollouts, "pass@1/"),
            **(
                {"drawn/reward": mean_reward(batch.drawn), "drawn/pass@1": pass_at_1(batch.drawn)}
                if self.settings.resample
                else {}
            ),
            "zero_variance_groups": flat_groups(rollouts, self.settings.group) / (len(rollouts) // self.settings.group),
            "completion_tokens": sum(lengths) / len(lengths),
            "unfinished": sum(not rollout.completion.finished for rollout in rollouts) / len(rollouts),
            **verdict_shares(rollouts, "verdict/"),
            **figures,
        }


class OneStepAhead:
    """The batches of `inner`, each sampled while the one before it is trained on.

    With `samplers=`, some ranks sample and the others train at the same time. A batch is then drawn with weights that
    are one update old, which the loss corrects for (`loss.correction`), and which are gone after a stop: so the batch
    itself is part of the state.
    """

    def __init__(self, inner: OnPolicy, ahead: Batch | None, first: int) -> None:
        """`ahead`: the batch of step `first` from a checkpoint, or None."""
        self.inner = inner
        self.steps, self.objective = inner.steps, inner.objective
        self.cost, self.about = inner.cost, inner.about
        self._ahead = (first, ahead) if ahead else None
        inner.taken = self._ahead  # drawn already, and not observed yet

    def take(self, step: int) -> Batch:
        if self._ahead is None or self._ahead[0] != step:
            self._ahead = step, self.inner.take(step)
        return self._ahead[1]

    def prefetch(self, step: int) -> None:
        if step < self.steps:
            self._ahead = step, self.inner.take(step)

    def state(self, step: int) -> SourceState:
        ahead = self._ahead[1] if self._ahead is not None and self._ahead[0] == step else None
        return SourceState(self.inner.state(step).curriculum, ahead)

    def summary(self, step: int, batch: Batch, figures: Mapping[str, float]) -> dict[str, Any]:
        return self.inner.summary(step, batch, figures)


def turns(languages: Sequence[Language], step: int, prompts: int) -> list[Language]:
    """The language of each of a step's problems: they take turns, through the steps, a pure function of the step."""
    return [languages[(step * prompts + number) % len(languages)] for number in range(prompts)]


def keep_informative(rollouts: Sequence[Rollout], prompts: int, size: int) -> list[Rollout]:
    """At most `prompts` groups, in their order, those that have a signal before others (DAPO's dynamic sampling)."""
    groups = groups_of(rollouts, size)
    kept = sorted(range(len(groups)), key=lambda number: (is_flat(groups[number]), number))[:prompts]
    return [rollout for number in sorted(kept) for rollout in groups[number]]


def mean_reward(rollouts: Sequence[Rollout]) -> float | None:
    """Over the rollouts whose reward is known; None when none is."""
    known = [rollout.reward for rollout in rollouts if rollout.reward is not None]
    return sum(known) / len(known) if known else None

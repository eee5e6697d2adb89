"""The rewards of a group: a number per verdict and, if asked for, two finer signals; or a function of the user's own.

A reward config (conf/reward/*.yaml) maps verdicts to numbers; a verdict that is not named is worth 0. Besides them:

    dense: 0.5        a failed program earns up to this share of what it lacks, by the weight of the tests it passes
    efficiency: 0.3   a passed program loses up to this share, the more CPU time it took than the group's fastest
    floor_s: 0.05     seconds added to both times, so that the noise of a few milliseconds is none of the reward

With both at 0, the default, a reward is a function of the verdict alone.

`reward.function=my_module:reward` puts a function of your own in its place. It is called with the rollouts of one group
(the problem, each completion, its program and verdict) and returns one number for each, or None for "not known":

    def reward(group: Sequence[Rollout]) -> list[float | None]:
        return [float(rollout.verdict.passed) for rollout in group]

    reward.all_tests = True  # optional: run every test of a program, also after one has failed
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from base.errors import ConfigError
from base.functions import load_function
from sandbox.check.timing import disturbances
from sandbox.job import Status, Verdict

if TYPE_CHECKING:
    from rollout.rollout import Rollout  # and with it torch, for which a model card would wait

TERMS = ("dense", "efficiency", "floor_s")

RewardFunction = Callable[[Sequence["Rollout"]], Sequence[float | None]]


def open_reward(config: Mapping[Any, Any]) -> RewardFunction:
    """The reward that the config group `reward` means. Raises ConfigError."""
    terms = {key: value for key, value in config.items() if key != "function"}
    if config.get("function") is None:
        return Reward.from_config(terms)
    return load_function("reward.function", str(config["function"]), ["rollouts"])


def distrust(reward: RewardFunction) -> str:
    """Why the times that a reward compares may lie on this machine; "" where they do not, or it compares none."""
    found = disturbances() if isinstance(reward, Reward) and reward.efficiency else []
    seen = ", ".join(f"{one.name} ({one.seen})" for one in found)
    return (
        f"reward.efficiency compares times, which may lie here: {seen}; python -m sandbox.check has advice"
        if seen
        else ""
    )


def rewards_of(groups: Sequence[Sequence[Rollout]], reward: RewardFunction) -> list[float | None]:
    """Each rollout's reward, group by group.

    An infrastructure error is the sandbox's failure and says nothing of a program: it has no reward, whatever the
    function returns. Raises ConfigError where a function of the user's own returns something else than rewards.
    """
    found = []
    for group in groups:
        rewards = list(reward(group))
        sound = [isinstance(r, int | float) and math.isfinite(r) for r in rewards if r is not None]
        if len(rewards) != len(group) or not all(sound):
            raise ConfigError(
                f"reward.function must return a finite number or None for each of {len(group)} rollouts, "
                f"not {str(rewards)[:80]}"
            )
        for rollout, earned in zip(group, rewards, strict=True):
            broken = rollout.verdict.status is Status.INFRASTRUCTURE_ERROR
            found.append(None if earned is None or broken else float(earned))
    return found


@dataclass(frozen=True)
class Reward:
    """The config group `reward`, as a function of a group's rollouts."""

    statuses: Mapping[str, float] = field(default_factory=lambda: {"passed": 1.0})
    dense: float = 0.0
    efficiency: float = 0.0
    floor_s: float = 0.05

    @classmethod
    def from_config(cls, config: Mapping[Any, Any]) -> Reward:
        """ConfigError for a key that is neither a verdict that can earn anything nor a term, or a value outside 0 to 1.

        (`dense` stays below 1, so that no failed program earns as much as one that passes.)
        """
        choices = [status.value for status in Status if status is not Status.INFRASTRUCTURE_ERROR]
        for key in config:
            if key not in (*choices, *TERMS):
                raise ConfigError(
                    f"reward.{key} is no verdict that earns a reward; the choices are {', '.join(choices)}, and for "
                    f"more than a verdict {', '.join(TERMS)}"
                )
        for key, value in config.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ConfigError(f"reward.{key} is {value!r}; it must be a finite number")
        terms = {key: float(config[key]) for key in TERMS if key in config}
        for key in ("dense", "efficiency"):
            if not 0 <= terms.get(key, 0.0) < 1:
                raise ConfigError(f"reward.{key} is {config[key]!r}; it must be 0 or more and below 1")
        if not terms.get("floor_s", 1.0) > 0:
            raise ConfigError(f"reward.floor_s is {config['floor_s']!r}; it must be above 0 seconds")
        statuses = {key: float(value) for key, value in config.items() if key not in TERMS}
        passed, efficiency = statuses.get(Status.PASSED, 0.0), terms.get("efficiency", 0.0)
        wrong = max(statuses.get(key, 0.0) for key in choices if key != Status.PASSED)
        wrong += terms.get("dense", 0.0) * max(passed - wrong, 0.0)  # with all but one test passed
        if passed * (1 - efficiency) <= wrong:
            least = f", or {passed * (1 - efficiency):g} for a slow program" if efficiency else ""
            raise ConfigError(
                f"reward.passed is {passed:g}{least}; it must be more than what any other verdict earns, which is up "
                f"to {wrong:g}"
            )
        return cls(statuses, **terms)

    @property
    def all_tests(self) -> bool:
        """Whether every test must be run, also after one failed."""
        return self.dense > 0

    def __call__(self, group: Sequence[Rollout]) -> list[float | None]:
        return self.of_group([rollout.verdict for rollout in group], len(group[0].problem.tests))

    def of_group(self, verdicts: Sequence[Verdict], tests: int) -> list[float | None]:
        """The rewards of programs for one problem of `tests` tests; None for an infrastructure error, which also counts
        in no test's pass rate and is compared with nobody's time."""
        rewards = [of(verdict, self.statuses) for verdict in verdicts]
        if self.dense:
            top = self.statuses.get(Status.PASSED, 0.0)
            dense = weighted_passes([passes(v, tests) for v, r in zip(verdicts, rewards, strict=True) if r is not None])
            shares = iter(dense)
            rewards = [None if r is None else r + self.dense * (top - r) * next(shares) for r in rewards]
        if self.efficiency:
            times = [cpu_s(v) for v in verdicts if v.passed]
            fastest = min(times, default=0.0)
            rewards = [
                r * (1 - self.efficiency * (1 - (fastest + self.floor_s) / (cpu_s(v) + self.floor_s)))
                if r is not None and v.passed
                else r
                for v, r in zip(verdicts, rewards, strict=True)
            ]
        return rewards


def of(verdict: Verdict, statuses: Mapping[str, float]) -> float | None:
    """The number of a verdict; None for an infrastructure error: the sandbox's failure says nothing of the program."""
    if verdict.status is Status.INFRASTRUCTURE_ERROR:
        return None
    return float(statuses.get(verdict.status.value, 0.0))


def passes(verdict: Verdict, tests: int) -> list[bool]:
    """Which of the problem's tests a program passed; one that was not run, for lack of time say, counts as failed."""
    done = [test.status is Status.PASSED for test in verdict.tests]
    return done + [False] * (tests - len(done))


def weighted_passes(group: Sequence[Sequence[bool]]) -> list[float]:
    """Of each program of a group, [programs][tests], the share of tests it passed, each test weighted by how many of
    the group fail it; from 0 to 1, and 1 only for those that pass every test.

    A test that all pass tells nobody apart and weighs nothing; where all pass everything each gets 1.
    """
    if not group:
        return []
    failed = [1 - sum(column) / len(group) for column in zip(*group, strict=True)]  # [tests]
    total = sum(failed)
    if not total:
        return [1.0] * len(group)
    return [1 - sum(w for w, passed in zip(failed, row, strict=True) if not passed) / total for row in group]


def cpu_s(verdict: Verdict) -> float:
    """CPU time of all tests together, seconds."""
    return sum(test.cpu_s for test in verdict.tests)

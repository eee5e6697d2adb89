"""Which problems a step trains on: the config group `curriculum` (conf/curriculum/*.yaml).

    shuffle        epochs over all problems, each in a random order (problems/load.py)
    easy_to_hard   at first only the problems of low tier, more by and by, after a share of the steps all
    pass_rate      drawn by what the policy makes of them: most often those that it solves about half of the time

A batch is a pure function of (seed, step) and, for pass_rate, of the outcomes of earlier steps: that is all of the
state, it is saved in checkpoints, and a resumed run draws what it would have drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Annotated, Any, Literal

from pydantic import Field

from base.errors import ConfigError
from base.settings import Settings
from problems import load
from problems.problem import Problem

Part = Annotated[float, Field(gt=0, le=1)]


class CurriculumSettings(Settings):
    """The config group `curriculum`."""

    order: Literal["shuffle", "easy_to_hard", "pass_rate"]
    start: Part = 1.0  # easy_to_hard: share of the problems that the first step may draw
    full: Part = 1.0  # easy_to_hard: share of the steps after which all are drawn alike
    explore: Part = 1.0  # pass_rate: of a problem that always or never passes, against 1 at a rate of one half
    memory: Part = 1.0  # pass_rate: what the counts before weigh when a problem is tried again


class Curriculum:
    """Which problems a step asks, by how often each was solved so far."""

    def __init__(
        self,
        config: CurriculumSettings,
        problems: Sequence[Problem],
        steps: int,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        """`state`: that of a checkpoint, to go on with. Raises ConfigError where the problems have no tiers."""
        if config.order == "easy_to_hard" and len({problem.tier for problem in problems}) < 2:
            raise ConfigError("curriculum=easy_to_hard needs problems of several tiers, which this data set has not")
        self.config, self.problems, self.steps = config, problems, steps
        self.state: dict[str, list[float]] = dict(state or {})  # problem id -> [passed, tried], the old fading

    def batch(self, step: int, count: int, seed: int) -> list[Problem]:
        """The `count` problems of `step` (from 0)."""
        if self.config.order == "pass_rate":
            weights = [weight(self.state.get(problem.id, (0, 0)), self.config.explore) for problem in self.problems]
            return draw(self.problems, weights, count, Random(f"{seed}/{step}"))
        if self.config.order == "easy_to_hard":
            easy = easiest(self.problems, share(step, self.steps, self.config.start, self.config.full))
            if len(easy) < len(self.problems):
                return draw(easy, [1.0] * len(easy), count, Random(f"{seed}/{step}"))
        return load.batch(self.problems, step, count, seed)

    def observe(self, outcomes: Iterable[tuple[str, bool]]) -> None:
        """Takes note of a step's programs: (problem id, whether it passed), without infrastructure errors."""
        if self.config.order != "pass_rate":
            return
        fresh: dict[str, list[float]] = {}
        for problem, passed in outcomes:
            counts = fresh.setdefault(problem, [0.0, 0.0])
            counts[0] += passed
            counts[1] += 1
        for problem, new in fresh.items():
            old = self.state.get(problem, [0.0, 0.0])
            self.state[problem] = [self.config.memory * a + b for a, b in zip(old, new, strict=True)]


def share(step: int, steps: int, start: float, full: float) -> float:
    """The share of the problems that `step` of `steps` may draw: from `start`, in a line, to 1 at `full` of them."""
    return min(1.0, start + (1 - start) * step / max(full * steps, 1))


def easiest(problems: Sequence[Problem], share: float) -> list[Problem]:
    """At least this share of the problems, those of the lowest tiers; a tier is in or out as a whole."""
    tiers = sorted(problem.tier for problem in problems)
    highest = tiers[min(len(tiers), max(1, math.ceil(share * len(tiers)))) - 1]
    return [problem for problem in problems if problem.tier <= highest]


def weight(counts: Sequence[float], explore: float) -> float:
    """How often to draw a problem, by `counts`, (passed, tried): 1 at a rate of one half and where nothing is known,
    down to `explore` where all or none pass, which leaves a group without any signal."""
    passed, tried = counts
    rate = (passed + 1) / (tried + 2)  # Laplace's: never quite 0 or 1
    return explore + (1 - explore) * 4 * rate * (1 - rate)


def draw(problems: Sequence[Problem], weights: Sequence[float], count: int, random: Random) -> list[Problem]:
    """`count` problems by weight, without replacement (Efraimidis and Spirakis 2006) as long as there are any."""
    keys = [math.log(1 - random.random()) / weight for weight in weights]
    order = sorted(range(len(problems)), key=lambda number: (-keys[number], number))
    return [problems[order[number % len(order)]] for number in range(count)]

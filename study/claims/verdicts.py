"""From figures per seed to a verdict on a claim: seen, not seen, cannot tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

from scipy import stats

Verdict = Literal["seen", "not seen", "cannot tell", "not run"]


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its 95 % interval (Student's t). Shares, or differences of shares."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Interval:
        """Of at least two values."""
        mean = fmean(values)
        half = float(stats.t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
        return cls(mean, mean - half, mean + half)

    def __neg__(self) -> Interval:
        return Interval(-self.mean, -self.high, -self.low)


def judge(difference: Interval, expected: Literal["more", "less", "same"], margin: float) -> Verdict:
    """What the difference (this - that) says of the claim that it is `more` or `less` than zero, or the `same`.

    more        seen where the whole interval is above zero, not seen where it is below `margin`: whatever there is,
                it is smaller than what would matter, or it goes the other way
    same        seen where the whole interval lies within +- margin, not seen where it lies outside
    cannot tell in all other cases: more seeds, or a larger effect, would be needed
    """
    if expected == "less":
        return judge(-difference, "more", margin)
    if expected == "more":
        return "seen" if difference.low > 0 else "not seen" if difference.high < margin else "cannot tell"
    if -margin < difference.low and difference.high < margin:
        return "seen"
    return "not seen" if difference.low > margin or difference.high < -margin else "cannot tell"

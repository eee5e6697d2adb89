"""From figures per seed to a verdict: the interval is Student's, and a verdict is what its definition says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from study.claims.verdicts import Interval, judge

SHARES = st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=8)


@given(SHARES.filter(lambda values: max(values) - min(values) > 1e-3))
def test_the_interval_is_that_of_the_t_test(values: list[float]) -> None:
    found = Interval.of(values)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)


def test_five_seeds_by_hand() -> None:
    """Mean 3, standard deviation 1.5811, so half a width of 2.7764 x 1.5811 / sqrt(5)."""
    found = Interval.of([1, 2, 3, 4, 5])
    assert (found.mean, found.low, found.high) == pytest.approx((3, 1.0368, 4.9632), abs=1e-4)


def test_equal_values_have_no_width() -> None:
    assert Interval.of([0.25] * 5) == Interval(0.25, 0.25, 0.25)


CASES = [
    ("more", 0.01, 0.20, "seen"),
    ("more", -0.20, -0.01, "not seen"),
    ("more", -0.01, 0.02, "not seen"),  # whatever there is, it is below the margin
    ("more", -0.01, 0.20, "cannot tell"),
    ("less", -0.20, -0.01, "seen"),
    ("less", 0.01, 0.20, "not seen"),
    ("less", -0.20, 0.01, "cannot tell"),
    ("same", -0.02, 0.02, "seen"),
    ("same", 0.01, 0.02, "seen"),  # a difference, and one that does not matter
    ("same", 0.04, 0.20, "not seen"),
    ("same", -0.20, -0.04, "not seen"),
    ("same", -0.01, 0.20, "cannot tell"),
]


@pytest.mark.parametrize(("expected", "low", "high", "verdict"), CASES)
def test_verdicts(expected, low: float, high: float, verdict: str) -> None:
    assert judge(Interval((low + high) / 2, low, high), expected, margin=0.03) == verdict


@given(st.tuples(st.floats(-1, 1), st.floats(-1, 1)).map(sorted), st.floats(0.001, 0.5))
def test_opposite_claims_are_never_both_seen_and_are_judged_alike(ends: list[float], margin: float) -> None:
    found = Interval(sum(ends) / 2, *ends)
    assert {judge(found, "more", margin), judge(found, "less", margin)} != {"seen"}
    assert judge(found, "more", margin) == judge(-found, "less", margin)
    assert judge(found, "same", margin) == judge(-found, "same", margin)

"""Rewards of a group: bounds, order, the verdict alone as the special case, the sandbox's failures left out."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from base.errors import ConfigError
from rollout.reward import Reward, distrust, open_reward, weighted_passes
from sandbox.check.timing import Disturbance
from sandbox.job import Status, TestResult, Verdict

CONF = Path(__file__).parents[2] / "conf" / "reward"
FAILED = (Status.WRONG_OUTPUT, Status.RUNTIME_ERROR, Status.TIMEOUT)


def verdict(results: list[bool], cpu_s: float = 0.01, failed: Status = Status.WRONG_OUTPUT) -> Verdict:
    tests = tuple(TestResult(Status.PASSED if ok else failed, cpu_s=cpu_s / len(results)) for ok in results)
    return Verdict("v", Status.PASSED if all(results) else failed, tests)


BROKEN = Verdict("v", Status.INFRASTRUCTURE_ERROR)
NOTHING = Verdict("v", Status.COMPILE_ERROR)


@st.composite
def groups(draw: st.DrawFn) -> tuple[list[Verdict], int]:
    """Programs with outcomes of every kind, for a problem of some tests."""
    tests = draw(st.integers(1, 6))
    program = st.builds(
        verdict,
        st.lists(st.booleans(), min_size=tests, max_size=tests),
        st.floats(0.0, 20.0),
        st.sampled_from(FAILED),
    )
    group = draw(st.lists(st.one_of(program, program, st.sampled_from([BROKEN, NOTHING])), min_size=1, max_size=12))
    return group, tests


REWARDS = st.builds(
    Reward,
    st.fixed_dictionaries({"passed": st.just(1.0), "wrong_output": st.sampled_from([0.0, 0.2])}),
    st.sampled_from([0.0, 0.3, 0.9]),
    st.sampled_from([0.0, 0.3, 0.9]),
)


@given(groups(), REWARDS)
def test_bounds_and_the_sandboxs_failures(case: tuple[list[Verdict], int], reward: Reward) -> None:
    group, tests = case
    for one, earned in zip(group, reward.of_group(group, tests), strict=True):
        if one.status is Status.INFRASTRUCTURE_ERROR:
            assert earned is None
        elif one.passed:
            assert earned is not None and 1 - reward.efficiency - 1e-12 <= earned <= 1
        else:
            assert earned is not None and reward.statuses.get(one.status, 0.0) - 1e-12 <= earned < 1


@given(groups(), REWARDS)
def test_infrastructure_errors_change_nobody_elses_reward(case: tuple[list[Verdict], int], reward: Reward) -> None:
    group, tests = case
    sound = [one for one in group if one is not BROKEN]
    assert [r for r in reward.of_group(group, tests) if r is not None] == reward.of_group(sound, tests)


@given(groups())
def test_without_the_terms_it_is_the_verdict(case: tuple[list[Verdict], int]) -> None:
    group, tests = case
    for one, earned in zip(group, Reward().of_group(group, tests), strict=True):
        assert earned == (None if one is BROKEN else float(one.passed))


@given(groups(), st.sampled_from([0.1, 0.5, 0.9]))
def test_who_passes_more_tests_never_earns_less(case: tuple[list[Verdict], int], dense: float) -> None:
    group, tests = case
    earned = Reward(dense=dense).of_group(group, tests)
    known = [
        ({n for n, test in enumerate(one.tests) if test.status is Status.PASSED}, value, one.passed)
        for one, value in zip(group, earned, strict=True)
        if value is not None
    ]
    for passed, value, whole in known:
        for fewer, less, _ in known:
            if fewer <= passed:
                assert less <= value + 1e-12
        assert (value == 1.0) == whole, "only a program that passes gets all"


@given(groups(), st.sampled_from([0.1, 0.9]))
def test_who_takes_longer_never_earns_more(case: tuple[list[Verdict], int], efficiency: float) -> None:
    group, tests = case
    earned = Reward(efficiency=efficiency).of_group(group, tests)
    passed = sorted(
        (sum(test.cpu_s for test in one.tests), value)
        for one, value in zip(group, earned, strict=True)
        if one.passed and value is not None
    )
    values = [value for _, value in passed]
    assert all(a >= b - 1e-12 for a, b in pairwise(values))
    assert not values or values[0] == 1.0, "the fastest gets all"
    assert all(value == 0 for one, value in zip(group, earned, strict=True) if value is not None and not one.passed)


def test_a_test_that_most_fail_weighs_more() -> None:
    easy, hard, none = [True, False], [False, True], [False, False]
    # of four, one fails the first test and three the second
    shares = weighted_passes([easy, easy, easy, hard])
    assert shares == pytest.approx([0.25, 0.25, 0.25, 0.75])
    assert weighted_passes([easy, none]) == pytest.approx([1 / 3, 0.0])
    assert weighted_passes([]) == []


def test_dense_by_hand() -> None:
    group = [verdict([True, True]), verdict([True, False]), verdict([False, False]), BROKEN, NOTHING]
    # of four, two fail the first test and three the second: weights 0.4 and 0.6
    assert Reward(dense=0.5).of_group(group, 2) == pytest.approx([1.0, 0.2, 0.0, None, 0.0])


def test_efficient_by_hand() -> None:
    group = [verdict([True], 0.05), verdict([True], 0.15), verdict([False], 0.01)]
    assert Reward(efficiency=0.4, floor_s=0.05).of_group(group, 1) == pytest.approx([1.0, 0.8, 0.0])


def config(text: str) -> Any:
    return OmegaConf.create(text)


def test_the_files_say_what_goes_wrong_and_are_read() -> None:
    found: dict[str, Any] = {path.stem: open_reward(config(path.read_text())) for path in CONF.glob("*.yaml")}
    assert all("Known to go wrong:" in path.read_text() for path in CONF.glob("*.yaml"))
    assert found["binary"] == Reward()
    assert found["partial"].statuses == {"passed": 1.0, "wrong_output": 0.2}
    assert [name for name, reward in found.items() if reward.all_tests] == ["dense"]
    assert found["efficient"].efficiency == 0.3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{infrastructure_error: 1}", "reward.infrastructure_error is no verdict that earns a reward.*passed.*dense"),
        ("{passed: lots}", "reward.passed is 'lots'; it must be a finite number"),
        ("{passed: 0}", "reward.passed is 0; it must be more than what any other verdict earns, which is up to 0"),
        ("{passed: 0.5, wrong_output: 0.5}", "reward.passed is 0.5; it must be more than .* up to 0.5"),
        ("{passed: 1, dense: 1.0}", "reward.dense is 1.0; it must be 0 or more and below 1"),
        (
            "{passed: 1, wrong_output: 0.8, efficiency: 0.3}",
            "reward.passed is 1, or 0.7 for a slow program; it must be",
        ),
        ("{passed: 1, dense: 0.8, efficiency: 0.3}", "reward.passed is 1, or 0.7 for a slow program; it must be more"),
        ("{passed: 1, efficiency: -0.1}", "reward.efficiency is -0.1"),
        ("{passed: 1, efficiency: 0.1, floor_s: 0}", "reward.floor_s is 0; it must be above 0 seconds"),
    ],
)
def test_what_cannot_be_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        open_reward(config(text))


def test_a_reward_that_compares_times_says_what_makes_them_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Disturbance("swap", "2 GB in use", "harm", "advice")]
    monkeypatch.setattr("rollout.reward.disturbances", lambda: found)
    assert "swap (2 GB in use)" in distrust(Reward(efficiency=0.3))
    assert distrust(Reward()) == "" and distrust(lambda group: []) == ""
    found.clear()
    assert distrust(Reward(efficiency=0.3)) == ""

"""Advantages against values worked out by hand; a group without signal has none, whatever the rounding."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from policy.samplers.sampler import Completion
from problems.problem import Problem
from rollout.advantage import SCALES, assign_advantages, group_advantages, is_flat
from rollout.rollout import Rollout
from sandbox.job import Status, Verdict


def tensor(rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_group_advantage_by_hand() -> None:
    # mean 0.25; unbiased variance (3 * 0.0625 + 0.5625) / 3 = 0.25, std 0.5
    advantages = group_advantages(tensor([[1, 0, 0, 0]]), torch.ones(1, 4, dtype=torch.bool))
    assert advantages.tolist() == [pytest.approx([0.75 / 0.5001, -0.25 / 0.5001, -0.25 / 0.5001, -0.25 / 0.5001])]


def test_advantage_is_only_centred_without_scale() -> None:
    advantages = group_advantages(tensor([[1, 0, 0, 0]]), torch.ones(1, 4, dtype=torch.bool), "none")
    assert advantages.tolist() == [[0.75, -0.25, -0.25, -0.25]]


def test_batch_advantage_divides_by_the_std_of_the_batch() -> None:
    rewards = tensor([[1, 0], [0, 0]])  # std over all four: 0.5
    advantages = group_advantages(rewards, torch.ones(2, 2, dtype=torch.bool), "batch")
    assert advantages.tolist() == [pytest.approx([0.5 / 0.5001, -0.5 / 0.5001]), [0.0, 0.0]]


@pytest.mark.parametrize(
    ("rewards", "flat"),
    [([0.1 + 0.2, 0.3], True), ([0.3, 0.31], False), ([0.3, None], True), ([None, None], True), ([0, 1, None], False)],
)
def test_a_group_is_flat_where_its_advantages_are(rewards: list[float | None], flat: bool) -> None:
    """In fp32, as they are computed: what differs in the 17th digit trains nothing, and is to be drawn again."""
    problem, verdict = Problem("p", "s", ()), Verdict("p", Status.PASSED)
    group = [Rollout(problem, "", [1], Completion(0, [], [], "", True), None, verdict, reward) for reward in rewards]
    assign_advantages(group, len(group), "group")
    assert is_flat(group) == flat == (not any(rollout.advantage for rollout in group))


def test_unknown_scale_names_the_choices() -> None:
    with pytest.raises(ValueError, match="group, batch, none"):
        group_advantages(tensor([[1, 0]]), torch.ones(1, 2, dtype=torch.bool), "median")


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.2, 1.0]), st.booleans()), min_size=2, max_size=16),
    st.sampled_from(SCALES),
)
def test_advantage_properties(group: list[tuple[float, bool]], scale: str) -> None:
    rewards = tensor([[reward for reward, _ in group]])
    valid = torch.tensor([[ok for _, ok in group]])
    advantages = group_advantages(rewards, valid, scale)[0]
    assert torch.isfinite(advantages).all()
    assert advantages.sum().item() == pytest.approx(0, abs=1e-9)
    assert (advantages[~valid[0]] == 0).all()  # an infrastructure error earns nothing and costs nothing
    kept = rewards[0][valid[0]]
    if len(kept) < 2 or bool((kept == kept[0]).all()):
        assert (advantages == 0).all()
    # An invalid rollout's reward, whatever it says, changes nothing.
    other = rewards.masked_fill(~valid, 123.0)
    assert torch.equal(group_advantages(other, valid, scale)[0], advantages)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("reward", [0.0, 0.1, 0.2, 1 / 3, 0.7, 1.0])
@pytest.mark.parametrize("size", [2, 3, 7, 32, 33])
def test_equal_rewards_are_no_signal_in_float32(scale: str, reward: float, size: int) -> None:
    """The float32 mean of 32 times 0.2 is not 0.2."""
    rewards = torch.full((1, size), reward)
    assert (group_advantages(rewards, torch.ones(1, size, dtype=torch.bool), scale) == 0).all()


def test_max_rl_divides_by_no_mean_that_is_not_above_zero() -> None:
    rewards = tensor([[1, -1, 1, -1], [-1, 0, 0, 0], [1, 0, 0, -1]])
    assert not group_advantages(rewards, torch.ones(3, 4, dtype=torch.bool), "max_rl").any()


def test_max_rl_weighs_a_rare_success_by_its_rarity() -> None:
    advantages = group_advantages(tensor([[1, 0, 0, 0], [1, 1, 1, 0]]), torch.ones(2, 4, dtype=torch.bool), "max_rl")
    assert advantages.tolist() == [pytest.approx([3, -1, -1, -1]), pytest.approx([1 / 3, 1 / 3, 1 / 3, -1])]


@pytest.mark.parametrize("p", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("group", [2, 6])
def test_max_rl_estimates_the_likelihood_of_success(p: float, group: int) -> None:
    """For a policy that passes with probability p = sigmoid(x), by enumeration: the expected update is the gradient of
    log p's expansion -sum of (1 - p)^k / k, up to k = group - 1."""
    expected = 0.0
    for outcomes in range(2**group):
        rewards = [float(outcomes >> n & 1) for n in range(group)]
        passed = sum(rewards)
        chance = p**passed * (1 - p) ** (group - passed)
        advantages = group_advantages(tensor([rewards]), torch.ones(1, group, dtype=torch.bool), "max_rl")[0]
        scores = [1 - p if reward else -p for reward in rewards]  # d log(probability of the outcome) / dx
        expected += chance * sum(a * s for a, s in zip(advantages.tolist(), scores, strict=True)) / group
    truncated = sum((1 - p) ** (k - 1) for k in range(1, group)) * p * (1 - p)  # dp/dx = p (1 - p)
    assert expected == pytest.approx(truncated, rel=1e-9)

"""Advantages: how much better a program did than the others of its group. Add another scale here.

    scale    advantage of reward r in a group with mean m and unbiased standard deviation s
    group    (r - m) / (s + 1e-4)                GRPO, the paper's (TRL: scale_rewards="group")
    batch    (r - m) / (std of the batch + 1e-4) (TRL: scale_rewards="batch")
    none     r - m                               Dr. GRPO (TRL: scale_rewards="none")
    max_rl   (r - m) / m                         MaxRL (arXiv 2602.02710)

With rewards of 0 and 1, `max_rl` makes the policy gradient estimate the gradient of a truncated expansion of the
log-likelihood of success, log p = -sum over k of (1 - p)^k / k, up to k = group - 1, instead of that of p: a
problem that is seldom solved weighs up to 1/p times as much. Where programs almost never pass, that is where the
signal is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from base import checks
from rollout.rollout import Rollout

Scale = Literal["group", "batch", "none", "max_rl"]
SCALES = get_args(Scale)
STD_EPS = 1e-4  # TRL's; keeps a group of nearly equal rewards from exploding


def group_advantages(rewards: Tensor, valid: Tensor, scale: str = "group") -> Tensor:
    """Rewards -> advantages, both [prompts, group]. `valid` [prompts, group] is False for infrastructure errors.

    Invalid rollouts get 0. So does every rollout of a zero-variance group: one with fewer than two valid rollouts, or
    whose valid rewards are all equal. It is exactly 0: the float32 mean of equal rewards may differ from them in the
    last bit, which the division by a tiny deviation would blow up. So does every one of a group whose mean is not above
    0 with `max_rl`, which is meant for rewards of 0 or more.
    """
    checks.one_of("advantage", scale, SCALES)
    mask = valid.to(rewards.dtype)  # [prompts, group]
    count = mask.sum(1, keepdim=True)  # [prompts, 1]
    mean = (rewards * mask).sum(1, keepdim=True) / count.clamp(min=1)  # [prompts, 1]
    centred = (rewards - mean) * mask  # [prompts, group]
    if scale == "group":
        variance = centred.square().sum(1, keepdim=True) / (count - 1).clamp(min=1)  # [prompts, 1]
        centred = centred / (variance.sqrt() + STD_EPS)  # [prompts, group]
    elif scale == "batch":
        kept = rewards[valid]  # [valid rollouts]
        std = kept.std() if kept.numel() > 1 else kept.new_zeros(())  # []
        centred = centred / (std + STD_EPS)  # [prompts, group]
    elif scale == "max_rl":
        centred = torch.where(mean > 0, centred / mean, torch.zeros_like(centred))  # [prompts, group]
    return torch.where(flat(rewards, valid)[:, None], torch.zeros_like(centred), centred)  # [prompts, group]


def flat(rewards: Tensor, valid: Tensor) -> Tensor:
    """Which groups have no two valid rewards that differ [prompts], of `rewards` and `valid`, both [prompts, group]."""
    lowest = rewards.masked_fill(~valid, torch.inf).amin(1)  # [prompts]
    highest = rewards.masked_fill(~valid, -torch.inf).amax(1)  # [prompts]
    return ~(lowest < highest)  # [prompts]; of NaN too


def groups_of(rollouts: Sequence[Rollout], size: int) -> list[list[Rollout]]:
    """Rollouts by problem: each `size` that follow each other are of one."""
    return [list(rollouts[start : start + size]) for start in range(0, len(rollouts), size)]


def is_flat(group: Sequence[Rollout]) -> bool:
    """Whether all known rewards are equal as advantages are computed: such a group trains nothing."""
    return bool(flat(*_rewards(group, len(group))))


def flat_groups(rollouts: Sequence[Rollout], size: int) -> int:
    """How many of the groups of `size` rollouts are flat."""
    return int(flat(*_rewards(rollouts, size)).sum())


def assign_advantages(rollouts: Sequence[Rollout], size: int, scale: str) -> None:
    """Fills in each rollout's advantage from the rewards, group by group; one without a reward gets 0."""
    advantages = group_advantages(*_rewards(rollouts, size), scale)  # [prompts, group]
    for rollout, advantage in zip(rollouts, advantages.flatten().tolist(), strict=True):
        rollout.advantage = advantage


def _rewards(rollouts: Sequence[Rollout], size: int) -> tuple[Tensor, Tensor]:
    """Rewards in fp32, and which of them are known, both [prompts, group]."""
    values = torch.tensor([rollout.reward or 0.0 for rollout in rollouts])  # [prompts * group]
    valid = torch.tensor([rollout.reward is not None for rollout in rollouts])  # [prompts * group]
    return values.view(-1, size), valid.view(-1, size)

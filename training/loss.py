"""Advantages and the clipped policy loss, as pure functions of tensors.

Names and formulas follow TRL's GRPOTrainer, against which `tests/training/test_loss_trl.py` checks value and gradient:

    variant   ratio      per-token loss                         aggregation (TRL's `loss_type`)
    grpo      token      -min(ratio*A, clip(ratio)*A)           mean over sequences of the mean over tokens; the paper's
    bnpo      token      the same                               mean over the batch's tokens
    dapo      token      the same, usually clip_high > clip_low mean over the batch's tokens
    dr_grpo   token      the same                               sum / (sequences * max_new_tokens)
    gspo      sequence   the same                               as grpo (TRL: importance_sampling_level="sequence")
    cispo     token      -stop_grad(min(ratio, clip_high))*A*logp   mean over the batch's tokens
    nll       none       -A*logp                                    mean over the batch's tokens; with A = 1 the loss of
                                                                    supervised fine-tuning

"The batch" is one optimizer step's whole batch, over all micro-batches and ranks, never the micro-batch: so how a batch
is cut up changes nothing but rounding. (TRL normalises bnpo by micro-batch; with one micro-batch the two are equal.)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from base import checks
from base.errors import ConfigError

VARIANTS = ("grpo", "dr_grpo", "dapo", "bnpo", "gspo", "cispo", "nll")
ADVANTAGES = ("group", "batch", "none")
CORRECTIONS = ("none", "token_truncate", "token_mask", "sequence_truncate", "sequence_mask")
STD_EPS = 1e-4  # TRL's; keeps a group of nearly equal rewards from exploding


@dataclass(frozen=True)
class LossConfig:
    variant: str = "grpo"
    clip_low: float = 0.2  # TRL: epsilon
    clip_high: float = 0.2  # TRL: epsilon_high; for cispo the cap of the ratio itself
    kl: float = 0.0  # weight of the k3 estimate of KL(policy || reference); TRL: beta
    correction: str = "token_truncate"  # for the gap between sampler and trainer; TRL: vllm_importance_sampling_mode
    correction_cap: float = 3.0  # TRL: vllm_importance_sampling_clip_max

    def __post_init__(self) -> None:
        checks.one_of("loss.variant", self.variant, VARIANTS)
        checks.one_of("loss.correction", self.correction, CORRECTIONS)
        if self.variant == "cispo" and self.clip_high < 1:
            raise ConfigError(
                f"loss.clip_high is {self.clip_high}; for loss.variant=cispo, where it caps the ratio, 1 or more"
            )


@dataclass(frozen=True)
class BatchSize:
    """Of one optimizer step, over all its micro-batches and ranks: what the aggregations divide by."""

    sequences: int  # rollouts that count (infrastructure errors do not)
    tokens: int  # their loss tokens
    max_new_tokens: int


def group_advantages(rewards: Tensor, valid: Tensor, scale: str = "group") -> Tensor:
    """Rewards -> advantages, both [prompts, group]. `valid` [prompts, group] is False for infrastructure errors.

    (r - mean of the group) / (std + 1e-4), unbiased std, over the valid rollouts of the group (`scale="group"`, the
    paper's; TRL's `scale_rewards`), of the batch ("batch"), or not divided ("none", Dr. GRPO). Invalid rollouts get 0,
    and so does a group with fewer than two valid ones.
    """
    checks.one_of("advantage", scale, ADVANTAGES)
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
    return torch.where(count > 1, centred, torch.zeros_like(centred))  # [prompts, group]


def sampler_correction(old: Tensor, sampled: Tensor, mask: Tensor, mode: str, cap: float) -> Tensor:
    """Importance weights [rows, tokens] or [rows, 1] that make up for a sampler unlike the trainer, without gradient.

    `old` and `sampled` [rows, tokens]: log-probs of the same tokens by the trainer before the update and by the
    sampler. The ratio exp(old - sampled), by token or by sequence (the product over tokens), is cut at `cap`
    ("truncate") or dropped beyond it ("mask").
    """
    if mode == "none":
        return torch.ones_like(old[:, :1])  # [rows, 1]
    gap = ((old - sampled) * mask).detach()  # [rows, tokens]
    if mode.startswith("sequence"):
        gap = gap.sum(1, keepdim=True)  # [rows, 1]
    ratio = gap.exp()  # [rows, tokens] or [rows, 1]
    return ratio.clamp(max=cap) if mode.endswith("truncate") else ratio.masked_fill(ratio > cap, 0.0)


def policy_loss(
    logp: Tensor,  # [rows, tokens] by the policy being trained, at the sampling temperature
    old: Tensor,  # [rows, tokens] by the policy before this batch's first update, no gradient
    sampled: Tensor,  # [rows, tokens] by the sampler
    advantages: Tensor,  # [rows]
    mask: Tensor,  # [rows, tokens] True for loss tokens
    batch: BatchSize,
    config: LossConfig,
    reference: Tensor | None = None,  # [rows, tokens] by the reference policy, for the KL term
) -> tuple[Tensor, dict[str, Tensor]]:
    """The micro-batch's share of the batch's loss [], and sums over its loss tokens for the metrics.

    Shares add up to the loss of the whole batch, so that micro-batches simply accumulate gradients.
    """
    weights = mask.to(logp.dtype)  # [rows, tokens]
    lengths = weights.sum(1, keepdim=True).clamp(min=1)  # [rows, 1]
    log_ratio = (logp - old) * weights  # [rows, tokens]; padding holds arbitrary log-probs
    if config.variant == "gspo":
        log_ratio = log_ratio.sum(1, keepdim=True) / lengths  # [rows, 1]
    ratio = log_ratio.exp()  # [rows, tokens] or [rows, 1]
    advantage = advantages[:, None]  # [rows, 1]

    if config.variant == "cispo":
        loss = -ratio.clamp(max=config.clip_high).detach() * advantage * logp  # [rows, tokens]
    elif config.variant == "nll":
        loss = -advantage * logp  # [rows, tokens]
    else:
        clipped = ratio.clamp(1 - config.clip_low, 1 + config.clip_high)  # [rows, tokens] or [rows, 1]
        loss = -torch.minimum(ratio * advantage, clipped * advantage)  # [rows, tokens] or [rows, 1]
    correction = sampler_correction(old, sampled, weights, config.correction, config.correction_cap)
    loss = loss * correction  # [rows, tokens] or [rows, 1]
    kl = logp.new_zeros(())  # []
    if reference is not None and config.kl:
        gap = (reference - logp) * weights  # [rows, tokens]
        k3 = gap.exp() - gap - 1  # [rows, tokens], never negative (Schulman's k3 estimator)
        loss = loss + config.kl * k3  # [rows, tokens]
        kl = (k3.detach() * weights).sum()  # []

    if config.variant in ("grpo", "gspo"):
        share = weights / lengths / batch.sequences  # [rows, tokens]
    elif config.variant == "dr_grpo":
        share = weights / (batch.sequences * batch.max_new_tokens)  # [rows, tokens]
    else:
        share = weights / batch.tokens  # [rows, tokens]

    with torch.no_grad():
        spread = ratio.expand_as(logp)  # [rows, tokens]
        low = (spread < 1 - config.clip_low) & (advantage < 0)  # [rows, tokens]
        high = (spread > 1 + config.clip_high) & (advantage > 0)  # [rows, tokens]
        if config.variant == "cispo":
            low, high = torch.zeros_like(low), spread > config.clip_high  # [rows, tokens]
        sampler_gap = (old - sampled) * weights  # [rows, tokens]
        sums = {
            "clip_low": (low * weights).sum(),
            "clip_high": (high * weights).sum(),
            "ratio": (spread * weights).sum(),
            "kl": kl,
            "sampler_gap": sampler_gap.abs().sum(),
            "sampler_ratio": (sampler_gap.exp() * weights).sum(),
        }
    return (loss * share).sum(), sums

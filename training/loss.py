"""The clipped policy loss in its variants, as pure functions of tensors.

Names and formulas follow TRL's GRPOTrainer, against which `tests/training/test_loss_trl.py` checks value and gradient:

    variant   ratio      per-token loss                         aggregation (TRL's `loss_type`)
    grpo      token      -min(ratio*A, clip(ratio)*A)           mean over sequences of the mean over tokens; the paper's
    dapo      token      the same, usually clip_high > clip_low mean over the batch's tokens (TRL's dapo, and its bnpo)
    dr_grpo   token      the same                               sum / (sequences * max_new_tokens)
    gspo      sequence   the same                               as grpo (TRL: importance_sampling_level="sequence")
    cispo     token      -stop_grad(min(ratio, clip_high))*A*logp   mean over the batch's tokens

"The batch" is one optimizer step's whole batch, over all micro-batches and ranks, never the micro-batch: so how a batch
is cut up changes nothing but rounding. (TRL's bnpo is its dapo, normalised by micro-batch.)

`nll_loss`, the mean of -logp over the batch's tokens, is that of supervised fine-tuning. `loss.function=my_module:loss`
puts a function of your own in the place of `policy_loss`; it takes and returns what that does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import torch
from pydantic import Field, model_validator
from torch import Tensor

from base.functions import load_function
from base.settings import NotNegative, Settings, Share

Variant = Literal["grpo", "dr_grpo", "dapo", "gspo", "cispo"]
VARIANTS = get_args(Variant)


class LossConfig(Settings):
    """The key `loss` of a training config."""

    variant: Variant = "grpo"
    clip_low: Share = 0.2  # TRL: epsilon
    clip_high: NotNegative = 0.2  # TRL: epsilon_high; for cispo the cap of the ratio itself
    kl: NotNegative = 0.0  # weight of the k3 estimate of KL(policy || reference); TRL: beta
    # for the gap between sampler and trainer; TRL: vllm_importance_sampling_mode
    correction: Literal["none", "token_truncate", "token_mask", "sequence_truncate", "sequence_mask"] = "token_truncate"
    correction_cap: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 3.0  # TRL: vllm_importance_sampling_clip_max
    function: str | None = None  # module:function in place of `policy_loss`

    @model_validator(mode="after")
    def _cispo_caps_the_ratio(self) -> LossConfig:
        if self.variant == "cispo" and self.clip_high < 1:
            raise ValueError(
                f"loss.clip_high is {self.clip_high}; for loss.variant=cispo, where it caps the ratio, 1 or more"
            )
        return self


@dataclass(frozen=True)
class BatchSize:
    """What the aggregations divide by: counts of one optimizer step, over all its micro-batches and ranks."""

    sequences: int  # rollouts that count (infrastructure errors do not)
    tokens: int  # their loss tokens
    max_new_tokens: int


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
    kept = ratio.clamp(max=cap) if mode.endswith("truncate") else ratio.masked_fill(ratio > cap, 0.0)
    return kept  # [rows, tokens] or [rows, 1]


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
    else:
        clipped = ratio.clamp(1 - config.clip_low, 1 + config.clip_high)  # [rows, tokens] or [rows, 1]
        loss = -torch.minimum(ratio * advantage, clipped * advantage)  # [rows, tokens] or [rows, 1]
    # [rows, tokens], [rows, 1] or []
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
        sums = {
            "clip_low": (low * weights).sum(),  # []
            "clip_high": (high * weights).sum(),  # []
            "ratio": (spread * weights).sum(),  # []
            "kl": kl,  # []
        }
    return (loss * share).sum(), sums  # []


def nll_loss(
    logp: Tensor,  # [rows, tokens]
    old: Tensor,  # [rows, tokens]
    sampled: Tensor,  # [rows, tokens]
    advantages: Tensor,  # [rows]
    mask: Tensor,  # [rows, tokens] True for loss tokens
    batch: BatchSize,
    config: LossConfig,
    reference: Tensor | None = None,  # [rows, tokens]
) -> tuple[Tensor, dict[str, Tensor]]:
    """The mean negative log-likelihood over the batch's tokens []; arguments as for `policy_loss`."""
    return -(logp * mask.to(logp.dtype)).sum() / batch.tokens, {}  # []


Loss = Callable[
    [Tensor, Tensor, Tensor, Tensor, Tensor, BatchSize, LossConfig, Tensor | None], tuple[Tensor, dict[str, Tensor]]
]


def open_loss(config: LossConfig) -> Loss:
    """The loss that a config means. Raises ConfigError."""
    if config.function is None:
        return policy_loss
    return load_function("loss.function", config.function, [*inspect.signature(policy_loss).parameters])

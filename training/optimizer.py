"""The optimizer and its learning rate: the config group `optimizer`."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field

from base.settings import Count, NotNegative, Positive, Settings
from policy.model import Policy


class OptimizerSettings(Settings):
    name: Literal["adamw", "adamw8bit"] = "adamw"
    learning_rate: Positive  # the highest, after the warm-up
    betas: Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Field(min_length=2, max_length=2)]
    eps: Positive
    weight_decay: NotNegative  # not on biases and norms
    schedule: Literal["cosine", "linear", "constant"]
    warmup: Annotated[float, Field(ge=0, lt=1)]  # share of the steps
    grad_clip: NotNegative  # the largest norm of a gradient; 0: not clipped
    token_budget: Count  # tokens through the model in one micro-batch
    max_skipped: Count  # updates without a finite gradient, one after the other, before the run stops


def open_optimizer(policy: Policy, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """AdamW with decay on matrices only, not on biases and norms. The rate is set before every step."""
    parameters = policy.trainable()
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    first, second = settings.betas
    if settings.name == "adamw8bit":
        from bitsandbytes.optim import AdamW8bit  # slow to import, and only this option wants it

        eight_bit: torch.optim.Optimizer = AdamW8bit(
            groups, lr=settings.learning_rate, betas=(first, second), eps=settings.eps
        )
        return eight_bit
    return torch.optim.AdamW(
        groups, lr=settings.learning_rate, betas=(first, second), eps=settings.eps, fused=not policy.outline
    )


def learning_rate(settings: OptimizerSettings, step: int, steps: int) -> float:
    """The rate of `step` (from 0) out of `steps`: linear warm-up over the share `warmup`, then the schedule.

    "cosine" (the paper's) and "linear" fall to 0, "constant" stays. A pure function, so resuming is exact.
    """
    rise = settings.warmup * steps
    if step < rise:
        return settings.learning_rate * (step + 1) / (rise + 1)
    progress = (step - rise) / max(steps - rise, 1)  # 0 to 1
    shapes = {"constant": 1.0, "linear": 1 - progress, "cosine": 0.5 * (1 + math.cos(math.pi * progress))}
    return settings.learning_rate * shapes[settings.schedule]


def set_learning_rate(optimizer: torch.optim.Optimizer, settings: OptimizerSettings, step: int, steps: int) -> float:
    """Sets the rate of `step` and returns it."""
    rate = learning_rate(settings, step, steps)
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate

"""One optimizer step from a batch of rollouts: micro-batches under a token budget, gradients, clipping, metrics."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from omegaconf import DictConfig
from torch import Tensor

from policy.loss import BatchSize, LossConfig, policy_loss
from policy.model import Policy
from policy.rollout import Rollout
from policy.sampler import Sampling

SCHEDULES = ("cosine", "linear", "constant")


class SamplerGapError(Exception):
    """Sampler and trainer hold different policies. The message is one sentence that says what to look at."""


@dataclass
class MicroBatch:
    """Rows of one prompt, right-padded. All tensors on the policy's device."""

    indices: list[int]  # of the rollouts in the batch
    prompt: list[int]
    tokens: Tensor  # [rows, tokens]
    mask: Tensor  # [rows, tokens] True for sampled tokens
    sampled: Tensor  # [rows, tokens] the sampler's log-probs
    advantages: Tensor  # [rows]


def micro_batches(rollouts: Sequence[Rollout], policy: Policy, token_budget: int) -> Iterator[MicroBatch]:
    """Cuts a batch into micro-batches of at most `token_budget` padded tokens each (or a single row).

    Rollouts without advantage (zero-variance groups, infrastructure errors) are left out: their gradient is zero.
    Rows of one prompt stay together, sorted by length so that little is padding.
    """
    by_prompt: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, rollout in enumerate(rollouts):
        if rollout.advantage != 0.0:
            by_prompt[tuple(rollout.prompt_tokens)].append(index)
    for prompt, indices in by_prompt.items():
        indices.sort(key=lambda index: (len(rollouts[index].completion.tokens), index))
        while indices:
            # Taken from the longest down: the last row of the list sets the width.
            width = len(prompt) + len(rollouts[indices[-1]].completion.tokens)
            rows = max(1, token_budget // width)
            taken, indices = indices[-rows:], indices[:-rows]
            yield _collate([rollouts[index] for index in taken], taken, policy)


def _collate(rollouts: list[Rollout], indices: list[int], policy: Policy) -> MicroBatch:
    width = max(len(rollout.completion.tokens) for rollout in rollouts)
    tokens = torch.full((len(rollouts), width), policy.pad)  # [rows, tokens]
    mask = torch.zeros((len(rollouts), width), dtype=torch.bool)  # [rows, tokens]
    sampled = torch.zeros((len(rollouts), width))  # [rows, tokens]
    for row, rollout in enumerate(rollouts):
        length = len(rollout.completion.tokens)
        tokens[row, :length] = torch.tensor(rollout.completion.tokens)
        mask[row, :length] = True
        sampled[row, :length] = torch.tensor(rollout.completion.logprobs)
    advantages = torch.tensor([rollout.advantage for rollout in rollouts])  # [rows]
    device = policy.device
    return MicroBatch(
        indices,
        rollouts[0].prompt_tokens,
        tokens.to(device),
        mask.to(device),
        sampled.to(device),
        advantages.to(device),
    )


def batch_size(rollouts: Sequence[Rollout], max_new_tokens: int) -> BatchSize:
    """What the loss divides by: every rollout whose verdict is known counts, also those without advantage."""
    known = [rollout for rollout in rollouts if rollout.reward is not None]
    return BatchSize(len(known), sum(len(rollout.completion.tokens) for rollout in known), max_new_tokens)


def update(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    rollouts: Sequence[Rollout],
    loss_config: LossConfig,
    sampling: Sampling,
    config: DictConfig,
    epochs: int,
    max_sampler_gap: float,
) -> dict[str, float]:
    """`epochs` optimizer steps on the batch; the metrics of `docs/metrics.md` that an update knows.

    `config` is the config group `optimizer`; `sampling` says how the rollouts were drawn.

    The old log-probs that ratios refer to are those of the first epoch, computed before any update of this batch.
    An update whose gradient is not finite is skipped and counted in `skipped_updates`. Every batch was sampled after a
    weight sync and its tokens are scored here again, so each batch is a probe of that sync: a mean difference of
    log-probs above `max_sampler_gap` nats raises SamplerGapError before anything is updated.
    """
    policy.model.train()
    size = batch_size(rollouts, sampling.max_new_tokens)
    parameters = [p for p in policy.model.parameters() if p.requires_grad]
    old: dict[int, Tensor] = {}  # micro-batch number -> [rows, tokens]
    totals: dict[str, float] = defaultdict(float)
    tokens = 0
    for _ in range(epochs):
        optimizer.zero_grad(set_to_none=True)
        for number, micro in enumerate(micro_batches(rollouts, policy, config.token_budget)):
            logp, entropy = policy.logprobs(
                micro.prompt, micro.tokens, micro.mask, sampling.temperature
            )  # [rows, tokens]
            before = old.setdefault(number, logp.detach())  # [rows, tokens]
            loss, sums = policy_loss(logp, before, micro.sampled, micro.advantages, micro.mask, size, loss_config)
            loss.backward()
            totals["loss"] += float(loss.detach()) / epochs
            totals["entropy"] += float(entropy.sum())
            for name, value in sums.items():
                totals[name] += float(value)
            tokens += int(micro.mask.sum())
        if (gap := totals["sampler_gap"] / max(tokens, 1)) > max_sampler_gap:
            raise SamplerGapError(
                f"sampler and trainer disagree on the tokens just sampled: mean |difference of log-probs| {gap:.3f}, "
                f"rollout.max_sampler_gap is {max_sampler_gap}; look at the weight sync, at model.compute_dtype "
                "and at rollout.temperature"
            )
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, config.grad_clip or math.inf))
        totals["grad_norm"] += norm / epochs
        if not math.isfinite(norm):
            totals["skipped_updates"] += 1
        elif tokens:
            optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    per_batch = ("loss", "grad_norm", "skipped_updates")
    metrics = {name: totals[name] if name in per_batch else totals[name] / max(tokens, 1) for name in totals}
    return {"skipped_updates": 0.0, **metrics, "trained_tokens": float(tokens)}


def learning_rate(config: DictConfig, step: int, steps: int) -> float:
    """The rate of `step` (from 0) out of `steps`: linear warm-up over the share `config.warmup`, then the schedule.

    "cosine" (the paper's) and "linear" fall to 0, "constant" stays. A pure function, so resuming is exact.
    """
    rise = config.warmup * steps
    if step < rise:
        return float(config.learning_rate * (step + 1) / (rise + 1))
    progress = (step - rise) / max(steps - rise, 1)  # 0 to 1
    shapes = {"constant": 1.0, "linear": 1 - progress, "cosine": 0.5 * (1 + math.cos(math.pi * progress))}
    return float(config.learning_rate * shapes[config.schedule])

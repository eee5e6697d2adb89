"""One optimizer step from a batch of rollouts: micro-batches under a token budget, gradients, clipping, metrics."""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from base.errors import SamplerGapError, UpdateError
from policy import lora
from policy.logprob import Gap
from policy.model import Policy
from policy.ranks import ALONE, Ranks, full_tensor
from rollout.rollout import Rollout
from training import balance
from training.loss import BatchSize, Loss, LossConfig
from training.optimizer import OptimizerSettings

CHECKED = 3  # rollouts that are scored twice at the start
ABOVE = {f"sampler_gap_above_{bound:g}": bound for bound in (2.0**octave for octave in range(-14, 5))}  # nats


@dataclass
class MicroBatch:
    """Rows that go through the model at once, those of one prompt after one another. All tensors on its device."""

    prompts: list[list[int]]  # of each row
    tokens: Tensor  # [rows, tokens] right-padded
    mask: Tensor  # [rows, tokens] True for sampled tokens
    sampled: Tensor  # [rows, tokens] the sampler's log-probs
    advantages: Tensor  # [rows]
    shared: bool  # whether the rows of a prompt go through the model with one copy of it

    @property
    def forward_tokens(self) -> int:
        """How many tokens go through the model."""
        prompts = [prompt for prompt, _ in groupby(self.prompts)] if self.shared else self.prompts
        return sum(map(len, prompts)) + int(self.mask.sum())


def trains(rollout: Rollout, kl: bool = False) -> bool:
    """Whether a rollout has a gradient: by its advantage, or by the KL term, which pulls on every token."""
    return not rollout.masked and rollout.reward is not None and (kl or rollout.advantage != 0.0)


def micro_batches(
    rollouts: Sequence[Rollout], policy: Policy, token_budget: int, ranks: int = 1
) -> tuple[list[list[int]], float]:
    """Cuts rollouts into parts of equal cost that put at most `token_budget` tokens through the model (or are one row).

    A part lists indices into `rollouts`. Part r * `ranks` + i is for rank i; those of one round r cost alike. Also
    returns the imbalance, the slowest rank's time over the mean: 1 is perfect.
    """
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, rollout in enumerate(rollouts):
        groups[tuple(rollout.prompt_tokens)].append(index)
    members = list(groups.values())
    longest = max((len(r.prompt_tokens) + len(r.completion.tokens) for r in rollouts), default=0)
    lengths = balance.Lengths(
        [len(prompt) for prompt in groups],
        [[len(rollouts[index].completion.tokens) for index in rows] for rows in members],
        cost_model(policy),
        policy.shares_prompt(longest),
    )
    parts = balance.cut(lengths, token_budget, ranks)
    mean = sum(part.cost for part in parts) / ranks
    found = [[members[group][row] for group, rows in part.rows.items() for row in rows] for part in parts]
    return found, balance.in_step(parts, ranks) / mean if parts else 1.0


def cost_model(policy: Policy) -> balance.CostModel:
    head: Any = policy.model.get_output_embeddings()
    parameters = sum(map(lora.numbers, policy.model.parameters()))
    return balance.CostModel.of(policy.model.config, parameters, head.weight.numel())


def collate(rollouts: Sequence[Rollout], indices: list[int], policy: Policy) -> MicroBatch:
    """The rollouts at these indices, as tensors."""
    chosen = [rollouts[index] for index in indices]
    width = max(len(rollout.completion.tokens) for rollout in chosen)
    tokens = torch.full((len(chosen), width), policy.pad)  # [rows, tokens]
    mask = torch.zeros((len(chosen), width), dtype=torch.bool)  # [rows, tokens]
    sampled = torch.zeros((len(chosen), width))  # [rows, tokens]
    for row, rollout in enumerate(chosen):
        length = len(rollout.completion.tokens)
        tokens[row, :length] = torch.tensor(rollout.completion.tokens)
        mask[row, :length] = True
        sampled[row, :length] = torch.tensor(rollout.completion.logprobs)
    advantages = torch.tensor([rollout.advantage for rollout in chosen])  # [rows]
    device = policy.device
    return MicroBatch(
        [rollout.prompt_tokens for rollout in chosen],
        tokens.to(device),
        mask.to(device),
        sampled.to(device),
        advantages.to(device),
        policy.shares_prompt(max(len(rollout.prompt_tokens) + len(rollout.completion.tokens) for rollout in chosen)),
    )


def batch_size(rollouts: Sequence[Rollout], max_new_tokens: int) -> BatchSize:
    """What the loss divides by, as in TRL: every rollout whose verdict is known counts, also those without advantage;
    a masked one as a sequence, but not with its tokens."""
    known = [rollout for rollout in rollouts if rollout.reward is not None]
    tokens = sum(len(rollout.completion.tokens) for rollout in known if not rollout.masked)
    return BatchSize(len(known), tokens, max_new_tokens)


def share(parts: Sequence[list[int]], ranks: Ranks, in_step: bool) -> list[tuple[list[int], bool]]:
    """This rank's parts, and whether each counts. `in_step`: every rank gets as many, as FSDP2's gathering of weights
    needs; where there are too few, a rank computes the cheapest one too, which then does not count."""
    own = [(part, True) for part in parts[ranks.rank :: ranks.trainers]]
    if in_step and len(own) < math.ceil(len(parts) / ranks.trainers):
        own.append((parts[-1], False))
    return own


@dataclass(frozen=True)
class Objective:
    """How a batch is trained on: the loss, and what it must know of how the batch was drawn."""

    loss: Loss
    config: LossConfig
    temperature: float  # at which the tokens were drawn, and are scored
    max_new_tokens: int
    epochs: int = 1  # updates on one batch
    max_sampler_gap: float = math.inf  # nats per token; beyond it sampler and trainer hold different policies


class Learner:
    """Updates the policy, one batch after the other."""

    def __init__(
        self, policy: Policy, optimizer: torch.optim.Optimizer, settings: OptimizerSettings, ranks: Ranks = ALONE
    ) -> None:
        self.policy, self.optimizer, self.settings, self.ranks = policy, optimizer, settings, ranks
        self.token_budget = settings.token_budget  # halved once, where memory runs out
        self.skipped = 0  # updates without a finite gradient, one after the other
        self.midway = False  # whether a batch has had some of its epochs: the weights are those of no step

    def update(self, rollouts: Sequence[Rollout], objective: Objective) -> dict[str, float]:
        """`objective.epochs` optimizer steps on the batch; the metrics of `docs/reference/metrics.md` that it knows.

        `rollouts` is the whole batch on every rank. The old log-probs that ratios refer to are those of the first
        epoch, computed before any update of this batch. An update whose gradient is not finite is skipped and counted
        in `skipped_updates`. Every batch was sampled after a weight sync and its tokens are scored here again, so each
        batch is a probe of that sync: a mean difference of log-probs above `max_sampler_gap` raises SamplerGapError
        before anything is updated, and each rollout that is trained on gets its own mean as `sampler_gap`. Where memory
        runs out, the token budget is halved once, for the rest of the run; then UpdateError says what to set.
        """
        policy, optimizer, ranks = self.policy, self.optimizer, self.ranks
        policy.model.train()
        parameters = policy.trainable()
        # Left out: infrastructure errors and, unless there is a KL term, zero-variance groups.
        trained = [rollout for rollout in rollouts if trains(rollout, bool(objective.config.kl))]
        size = batch_size(rollouts, objective.max_new_tokens)
        old: dict[int, Tensor] = {}  # micro-batch number -> [rows, tokens]
        gaps: dict[int, float] = {}  # rollout number -> nats per token
        totals: dict[str, float] = defaultdict(float)
        accumulate = partial(self._accumulate, trained, size, objective, old, gaps)
        for epoch in range(objective.epochs):
            sums = _in_memory(accumulate)
            # All ranks cut the batch alike, so all do it again. Not in later epochs, which need the micro-batches of
            # the first, nor under FSDP2, where a rank that failed has left the others waiting.
            if epoch == 0 and not policy.sharded and ranks.sum({"failed": sums is None})["failed"]:
                self.token_budget //= 2
                print(f"out of memory: optimizer.token_budget is {self.token_budget} from now on", file=sys.stderr)
                old.clear()
                gaps.clear()
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
                sums = _in_memory(accumulate)
            if sums is None:
                raise UpdateError(
                    f"out of memory in the update, with optimizer.token_budget={self.token_budget}; set it lower, or "
                    "model.gradient_checkpointing=true, and go on; or, in a new run, lora.rank=32, or more gpus= with "
                    "shard=true"
                )
            for name, value in ranks.sum(sums).items():
                totals[name] += value
            if epoch == 0:
                for number, mean in ranks.sum(gaps).items():  # each was scored by one rank
                    trained[number].sampler_gap = mean
            tokens = totals["tokens"]
            if (gap := totals["sampler_gap"] / max(tokens, 1)) > objective.max_sampler_gap:
                raise SamplerGapError(
                    f"sampler and trainer disagree on the tokens just sampled: mean |difference of log-probs| "
                    f"{gap:.3f} nats per token, 99 % of tokens below {_quantile(totals, 0.99):.3g}; "
                    f"rollout.max_sampler_gap is {objective.max_sampler_gap}; look at the weight sync, at "
                    "model.compute_dtype and at rollout.temperature"
                )
            if not policy.sharded:
                ranks.sum_gradients(parameters)
            norm = float(full_tensor(torch.nn.utils.clip_grad_norm_(parameters, self.settings.grad_clip or math.inf)))
            totals["grad_norm"] += norm / objective.epochs
            if not math.isfinite(norm):
                totals["skipped_updates"] += 1
            elif tokens:
                optimizer.step()
            self.midway = epoch + 1 < objective.epochs
        optimizer.zero_grad(set_to_none=True)
        per_batch = ("loss", "grad_norm", "skipped_updates", "tokens", "forward_tokens", "imbalance", *ABOVE)
        return {
            "sampler_gap_q99": _quantile(totals, 0.99),
            "loss": totals["loss"],
            "grad_norm": totals["grad_norm"],
            "skipped_updates": totals["skipped_updates"],
            **{name: totals[name] / max(totals["tokens"], 1) for name in totals if name not in per_batch},
            "trained_tokens": totals["tokens"],
            "forward_tokens": totals["forward_tokens"],
            "imbalance": totals["imbalance"],
        }

    def self_check(self, rollouts: Sequence[Rollout], temperature: float) -> Gap:
        """Scores a few rollouts of one prompt also by the model's plain forward pass: a wrong architecture is named as
        such, before anything is trained. Raises ModelError."""
        prompt = rollouts[0].prompt_tokens
        few = [r for r in rollouts if r.prompt_tokens == prompt and r.completion.tokens][:CHECKED]
        if not few:
            return Gap(0.0, 0.0)
        micro = collate(few, list(range(len(few))), self.policy)
        return self.policy.self_check(micro.prompts, micro.tokens, micro.mask, temperature)

    def count_skipped(self, figures: Mapping[str, float]) -> None:
        """Raises UpdateError after `max_skipped` updates in a row that were skipped. Every rank calls it."""
        self.skipped = self.skipped + 1 if figures["skipped_updates"] else 0
        if self.skipped == self.settings.max_skipped:
            raise UpdateError(
                f"{self.skipped} updates one after the other had a gradient that is not finite, and were skipped; try "
                "a lower optimizer.learning_rate or model.compute_dtype=float32"
            )

    def _accumulate(
        self,
        trained: Sequence[Rollout],
        size: BatchSize,
        objective: Objective,
        old: dict[int, Tensor],
        gaps: dict[int, float],
    ) -> dict[str, float]:
        """One epoch's gradient, this rank's part of it, and sums over its loss tokens."""
        policy, ranks, config = self.policy, self.ranks, objective.config
        self.optimizer.zero_grad(set_to_none=True)
        sums: dict[str, float] = defaultdict(float)
        cuts, imbalance = micro_batches(trained, policy, self.token_budget, ranks.trainers)
        for number, (indices, counts) in enumerate(share(cuts, ranks, in_step=policy.sharded)):
            micro = collate(trained, indices, policy)
            where = (micro.prompts, micro.tokens, micro.mask, objective.temperature)
            logp, entropy = policy.logprobs(*where)  # [rows, tokens], [rows, tokens]
            before = old.setdefault(number, logp.detach())  # [rows, tokens]
            reference = policy.reference_logprobs(*where) if config.kl else None  # [rows, tokens]
            loss, measured = objective.loss(
                logp, before, micro.sampled, micro.advantages, micro.mask, size, config, reference
            )  # []
            # FSDP2 averages over the ranks where a sum is due
            scale = (ranks.trainers if policy.sharded else 1) * counts
            (loss * scale).backward()
            if counts:
                gap = ((before - micro.sampled) * micro.mask).float()  # [rows, tokens]
                sums["loss"] += float(loss.detach()) / objective.epochs
                sums["entropy"] += float(entropy.sum())
                sums["tokens"] += int(micro.mask.sum())
                sums["forward_tokens"] += micro.forward_tokens
                sums["sampler_gap"] += float(gap.abs().sum())
                means = gap.abs().sum(1) / micro.mask.sum(1).clamp(min=1)  # [rows]
                gaps |= zip(indices, means.tolist(), strict=True)
                sums["sampler_ratio"] += float((gap.exp() * micro.mask).sum())
                for name, count in _above(gap.abs()[micro.mask]).items():
                    sums[name] += count
                for name, value in measured.items():
                    sums[name] += float(value)
        if ranks.first:
            sums["imbalance"] = imbalance / objective.epochs
        return sums


def _above(gaps: Tensor) -> dict[str, float]:
    """How many of the gaps [tokens] are above each bound: such counts add up over micro-batches and ranks."""
    return {name: float((gaps > bound).sum()) for name, bound in ABOVE.items()}


def _quantile(totals: Mapping[str, float], share: float) -> float:
    """The smallest bound that `share` of the tokens do not exceed, in nats."""
    most = (1 - share) * totals["tokens"]
    return next((bound for name, bound in ABOVE.items() if totals[name] <= most), math.inf)


def _in_memory(work: Callable[[], dict[str, float]]) -> dict[str, float] | None:
    """What `work` gives; None: out of memory. What the failed attempt held is free once this has returned."""
    try:
        return work()
    except RuntimeError as error:  # torch.OutOfMemoryError is one, on a CPU it is only a message
        if not _out_of_memory(error):
            raise
        return None


def _out_of_memory(error: RuntimeError) -> bool:
    words = "can't allocate memory"  # of the CPU's allocator
    return isinstance(error, torch.OutOfMemoryError) or words in str(error)

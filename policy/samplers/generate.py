"""Sampling by transformers' generate, on the very weights that are trained: works on any device, nothing to sync."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from policy.model import Policy
from policy.ranks import ALONE, Ranks
from policy.samplers.sampler import Completion, Sampling

STOP_TOKENS = 12  # a stop text is looked for in so many of the last tokens: enough for 12 characters


class TransformersSampler:
    """transformers' generate with a KV cache, on the very weights that are trained; a rank that only samples is given
    them."""

    sleeping_bytes = 0

    def __init__(self, policy: Policy, batch_size: int, ranks: Ranks = ALONE) -> None:
        self.policy, self.ranks = policy, ranks
        self.batch_size = batch_size  # sequences decoded at once

    def sleep(self) -> None:
        pass

    def sync(self) -> None:
        self.ranks.broadcast_weights(self.policy.trainable())

    @torch.no_grad()
    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        n: int,
        sampling: Sampling,
        seed: int,
        done: Callable[[int, Completion], None],
        wanted: Container[int] | None = None,
        grows: Callable[[int, list[int]], None] | None = None,
    ) -> None:
        self.policy.model.eval()
        # Prompts of like length share a batch, so that little is padding.
        order = sorted(range(len(prompts) * n), key=lambda index: (len(prompts[index // n]), index))
        for start in range(0, len(order), self.batch_size):
            indices = order[start : start + self.batch_size]
            if wanted is not None and not any(index in wanted for index in indices):
                continue
            torch.manual_seed((seed + start) % 2**63)  # each batch its own: one that is skipped changes no other
            _decode(self.policy, [prompts[index // n] for index in indices], indices, n, sampling, done, wanted, grows)


def _decode(
    policy: Policy,
    prompts: list[Sequence[int]],
    indices: list[int],
    n: int,
    sampling: Sampling,
    done: Callable[[int, Completion], None],
    wanted: Container[int] | None,
    grows: Callable[[int, list[int]], None] | None,
) -> None:
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), policy.pad)  # [rows, width], padded on the left
    attention = torch.zeros_like(ids)  # [rows, width]
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        attention[row, width - len(prompt) :] = 1

    def emit(row: int, tokens: list[int], logprobs: list[float], finished: bool) -> None:
        if wanted is None or indices[row] in wanted:
            text = policy.decode(tokens)
            done(indices[row], Completion(indices[row] // n, tokens, logprobs, text, finished))

    def grown(row: int, tokens: list[int]) -> None:
        if grows is not None and (wanted is None or indices[row] in wanted):
            grows(indices[row], tokens)

    def stopped(tokens: list[int]) -> bool:
        text = policy.decode(tokens, special=True)
        return any(stop in text for stop in sampling.stop)

    record = _Record(
        width, sampling.temperature, policy.eos, emit, grown if grows else None, stopped if sampling.stop else None
    )
    greedy = sampling.temperature == 0
    config = GenerationConfig(
        do_sample=not greedy,
        top_p=None if greedy else sampling.top_p,
        top_k=None if greedy else 0,
        max_new_tokens=sampling.max_new_tokens,
        eos_token_id=policy.eos,
        pad_token_id=policy.pad,
    )
    model: Any = policy.model
    its_own = model.generation_config  # fills whatever `config` leaves out: Qwen3's holds a temperature of 0.6
    model.generation_config = GenerationConfig()
    try:
        with policy.autocast():
            model.generate(
                ids.to(policy.device),
                attention_mask=attention.to(policy.device),
                generation_config=config,
                logits_processor=LogitsProcessorList([record.tempered]),
                stopping_criteria=StoppingCriteriaList([record]),
            )
    finally:
        model.generation_config = its_own
    record.emit_unfinished()


class _Tempered(LogitsProcessor):
    """Divides logits by the temperature and keeps them, so that the sampled token's log-prob can be read off."""

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature or 1.0  # greedy: scores as they are
        self.logits: Tensor | None = None  # [rows, vocabulary]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.logits = scores / self.temperature  # [rows, vocabulary]
        return self.logits


class _Record(StoppingCriteria):
    """Watches generate: notes each sampled token's log-prob and hands a completion on the moment it ends.

    It asks to stop only where a stop text was written; transformers' own criteria do the rest. With a copy of the
    logits per step, as `output_logits=True` keeps, a long completion at a large vocabulary would need gigabytes.
    """

    def __init__(
        self,
        prompt_width: int,
        temperature: float,
        eos: list[int],
        emit: Callable[[int, list[int], list[float], bool], None],
        grown: Callable[[int, list[int]], None] | None,
        stopped: Callable[[list[int]], bool] | None,
    ) -> None:
        self.grown = grown  # told of the tokens so far
        self.stopped = stopped  # whether these last tokens hold a stop text
        self.tempered = _Tempered(temperature)
        self.prompt_width = prompt_width
        self.eos = eos
        self.emit = emit
        self.tokens: list[Tensor] = []  # each [rows]
        self.logprobs: list[Tensor] = []  # each [rows]
        self.open: Tensor | None = None  # [rows] True while a completion goes on

    def __call__(self, input_ids: Tensor, scores: object, **kwargs: object) -> Tensor:
        sampled = input_ids[:, -1]  # [rows]
        logits = self.tempered.logits
        assert logits is not None
        logp = logits.gather(1, sampled[:, None])[:, 0] - logits.logsumexp(1)  # [rows]
        if self.open is None:
            self.open = torch.ones_like(sampled, dtype=torch.bool)  # [rows]
        self.tokens.append(sampled.cpu())
        self.logprobs.append(logp.float().cpu())
        if self.grown is not None:
            for row in self.open.nonzero()[:, 0].tolist():
                self.grown(row, [int(step[row]) for step in self.tokens])
        ended = self.open & torch.isin(sampled, torch.tensor(self.eos, device=sampled.device))  # [rows]
        halted = torch.zeros_like(ended)  # [rows]
        if self.stopped is not None:
            for row in (self.open & ~ended).nonzero()[:, 0].tolist():
                halted[row] = self.stopped([int(step[row]) for step in self.tokens[-STOP_TOKENS:]])
        for row in (ended | halted).nonzero()[:, 0].tolist():
            self._hand_on(row, finished=True)
        self.open = self.open & ~(ended | halted)  # [rows]
        return halted  # [rows]

    def emit_unfinished(self) -> None:
        """Hands on the completions that were cut at max_new_tokens."""
        if self.open is not None:
            for row in self.open.nonzero()[:, 0].tolist():
                self._hand_on(row, finished=False)

    def _hand_on(self, row: int, finished: bool) -> None:
        tokens = [int(step[row]) for step in self.tokens]
        self.emit(row, tokens, [float(step[row]) for step in self.logprobs], finished)

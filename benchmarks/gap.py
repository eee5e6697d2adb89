"""How far a sampler is from the trainer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.utils.rnn import pad_sequence

from policy.logprob import gap
from policy.model import Policy
from policy.samplers.sampler import Completion


@torch.no_grad()
def sampler_gap(
    policy: Policy, prompts: Sequence[Sequence[int]], completions: Sequence[Completion], temperature: float
) -> float:
    """Mean difference of the policy's log-probs and the sampler's, nats per token. `prompts` has each completion's."""
    policy.model.eval()
    device = policy.device
    tokens = pad_sequence([torch.tensor(c.tokens) for c in completions], True).to(device)  # [rows, tokens]
    real = [torch.ones(len(c.tokens), dtype=torch.bool) for c in completions]  # each [its tokens]
    mask = pad_sequence(real, True).to(device)  # [rows, tokens]
    sampled = pad_sequence([torch.tensor(c.logprobs) for c in completions], True).to(device)  # [rows, tokens]
    logp, _ = policy.logprobs(prompts, tokens, mask, temperature)  # [rows, tokens]
    return gap(logp, sampled, mask).mean

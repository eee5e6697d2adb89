"""Log-probabilities of given tokens from hidden states, without ever holding [tokens, vocabulary] logits.

A 152k vocabulary makes the logits of one long completion larger than most models' other activations together. Here
the head is applied to a chunk of tokens at a time, forward and again backward, so the peak is one chunk. The result
equals the plain computation up to rounding (`tests/policy/test_logprob.py`).
"""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK_ELEMENTS = 2**24  # logits alive at once, elements: 64 MiB in fp32


def _chunks(tokens: int, vocabulary: int) -> list[slice]:
    size = max(16, CHUNK_ELEMENTS // vocabulary)
    return [slice(start, min(start + size, tokens)) for start in range(0, tokens, size)]


class _TokenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, weight, targets, temperature):
        weight = weight.to(hidden.dtype)  # [vocabulary, width]
        logp = hidden.new_empty(len(hidden), dtype=_wide(hidden.dtype))  # [tokens]
        lse = torch.empty_like(logp)  # [tokens]
        entropy = torch.empty_like(logp)  # [tokens]
        for part in _chunks(len(hidden), len(weight)):
            logits = (hidden[part] @ weight.T).to(logp.dtype).div_(temperature)  # [chunk, vocabulary]
            lse[part] = logits.logsumexp(1)  # [chunk]
            logp[part] = logits.gather(1, targets[part, None])[:, 0] - lse[part]  # [chunk]
            log_softmax = logits.sub_(lse[part, None])  # [chunk, vocabulary]
            entropy[part] = -(log_softmax.exp() * log_softmax).sum(1)  # [chunk]
        ctx.save_for_backward(hidden, weight, targets, lse)
        ctx.temperature = temperature
        ctx.mark_non_differentiable(entropy)
        return logp, entropy

    @staticmethod
    def backward(ctx, grad, _entropy_grad):
        hidden, weight, targets, lse = ctx.saved_tensors
        grad_hidden = torch.empty_like(hidden)  # [tokens, width]
        # Accumulated in the wide type: thousands of chunks in bf16 would lose the small terms.
        grad_weight = None
        if ctx.needs_input_grad[1]:
            grad_weight = torch.zeros_like(weight, dtype=lse.dtype)  # [vocabulary, width]
        for part in _chunks(len(hidden), len(weight)):
            logits = (hidden[part] @ weight.T).to(lse.dtype).div_(ctx.temperature)  # [chunk, vocabulary]
            scaled = grad[part, None] / ctx.temperature  # [chunk, 1]
            # d logp / d logits = (one-hot - softmax) / temperature
            d_logits = (logits - lse[part, None]).exp_().mul_(-scaled)  # [chunk, vocabulary]
            d_logits.scatter_add_(1, targets[part, None], scaled)
            d_logits = d_logits.to(hidden.dtype)  # [chunk, vocabulary]
            grad_hidden[part] = d_logits @ weight  # [chunk, width]
            if grad_weight is not None:
                grad_weight += (d_logits.T @ hidden[part]).to(grad_weight.dtype)  # [vocabulary, width]
        return grad_hidden, grad_weight, None, None


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def token_logprobs(
    hidden: Tensor,  # [tokens, width] the state that predicts each target
    weight: Tensor,  # [vocabulary, width] of the language-model head
    targets: Tensor,  # [tokens]
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Log-probs of `targets` under softmax(logits / temperature), with gradient, and entropies, without; both [tokens].

    In nats; fp32, or fp64 for fp64 input.
    """
    return _TokenLogprobs.apply(hidden, weight, targets, temperature)

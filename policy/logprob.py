"""Log-probabilities of given tokens from hidden states, without ever holding [tokens, vocabulary] logits.

A 152k vocabulary makes the logits of one long completion larger than most models' other activations together. Here
the head is applied to a chunk of tokens at a time, forward and again backward, so the peak is one chunk. Within a chunk
the softmax goes a few rows at a time, small enough to stay in a CPU's cache. The result equals the plain computation up
to rounding (`tests/policy/test_logprob.py`).
"""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK_ELEMENTS = 2**25  # logits alive at once, elements: 64 MiB in bf16
ROWS_ELEMENTS = {"cpu": 2**20, "cuda": 2**24}  # of them in fp32


def _slices(length: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


def _chunks(tokens: int, vocabulary: int) -> list[slice]:
    return _slices(tokens, max(16, CHUNK_ELEMENTS // vocabulary))


def _rows(logits: Tensor) -> list[slice]:
    return _slices(len(logits), max(1, ROWS_ELEMENTS[logits.device.type] // logits.shape[1]))


class _TokenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, weight, targets, temperature):
        weight = weight.to(hidden.dtype)  # [vocabulary, width]
        logp = hidden.new_empty(len(hidden), dtype=_wide(hidden.dtype))  # [tokens]
        lse = torch.empty_like(logp)  # [tokens]
        entropy = torch.empty_like(logp)  # [tokens]
        for part in _chunks(len(hidden), len(weight)):
            products = hidden[part] @ weight.T  # [chunk, vocabulary]
            for rows in _rows(products):
                logits = products[rows].to(logp.dtype).div_(temperature)  # [rows, vocabulary]
                at = slice(part.start + rows.start, part.start + rows.stop)
                lse[at] = logits.logsumexp(1)  # [rows]
                log_softmax = logits.sub_(lse[at, None])  # [rows, vocabulary]
                logp[at] = log_softmax.gather(1, targets[at, None])[:, 0]  # [rows]
                entropy[at] = -log_softmax.exp().mul_(log_softmax).sum(1)  # [rows]
        ctx.save_for_backward(hidden, weight, targets, logp, lse)
        ctx.temperature = temperature
        ctx.mark_non_differentiable(entropy)
        return logp, entropy

    @staticmethod
    def backward(ctx, grad, _entropy_grad):
        hidden, weight, targets, logp, lse = ctx.saved_tensors
        grad_hidden = torch.empty_like(hidden)  # [tokens, width]
        # Accumulated in the wide type: thousands of chunks in bf16 would lose the small terms.
        grad_weight = None
        if ctx.needs_input_grad[1]:
            grad_weight = torch.zeros_like(weight, dtype=lse.dtype)  # [vocabulary, width]
        scaled = grad[:, None] / ctx.temperature  # [tokens, 1]
        for part in _chunks(len(hidden), len(weight)):
            products = hidden[part] @ weight.T  # [chunk, vocabulary], becomes its own gradient
            for rows in _rows(products):
                at = slice(part.start + rows.start, part.start + rows.stop)
                logits = products[rows].to(lse.dtype).div_(ctx.temperature)  # [rows, vocabulary]
                # d logp / d logits = (one-hot - softmax) / temperature
                products[rows] = logits.sub_(lse[at, None]).exp_().mul_(-scaled[at])  # [rows, vocabulary]
            # 1 - softmax in the wide type, as the difference of two rounded numbers would lose its digits
            at_target = -torch.expm1(logp[part, None]) * scaled[part]  # [chunk, 1]
            products.scatter_(1, targets[part, None], at_target.to(products.dtype))
            grad_hidden[part] = products @ weight  # [chunk, width]
            if grad_weight is not None:
                for words in _slices(len(weight), 2**13):
                    grad_weight[words] += products[:, words].T @ hidden[part]  # [words, width]
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

"""Log-probabilities of given tokens from hidden states, without ever holding [tokens, vocabulary] logits.

A 152k vocabulary makes the logits of one long completion larger than most models' other activations together. Here
the head is applied to a chunk of tokens at a time, forward and again backward, so the peak is one chunk. Within a chunk
the softmax goes a few rows at a time, small enough to stay in a CPU's cache. The result equals the plain computation up
to rounding (`tests/policy/test_logprob.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Logits alive at once, elements. A GPU reads and writes the head's whole gradient once a chunk: 512 MiB in bf16.
CHUNK_ELEMENTS = {"cpu": 2**25, "cuda": 2**28}
ROWS_ELEMENTS = {"cpu": 2**20, "cuda": 2**24}  # of them in fp32


def _slices(length: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


def _chunks(hidden: Tensor, weight: Tensor | None) -> list[slice]:
    vocabulary = hidden.shape[1] if weight is None else len(weight)
    return _slices(len(hidden), max(16, CHUNK_ELEMENTS[hidden.device.type] // vocabulary))


def _rows(logits: Tensor) -> list[slice]:
    return _slices(len(logits), max(1, ROWS_ELEMENTS[logits.device.type] // logits.shape[1]))


@dataclass(frozen=True)
class Head:
    """What a language-model head does besides its matrix and bias: logits = cap * tanh(scale * products / cap)."""

    scale: float = 1.0
    cap: float | None = None  # None: logits = scale * products


def _products(hidden: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """The head on a chunk of tokens, a tensor of its own: [chunk, vocabulary]."""
    if weight is None:
        return hidden.clone()  # [chunk, vocabulary]
    products = hidden @ weight.T  # [chunk, vocabulary]
    return products if bias is None else products.add_(bias)  # [chunk, vocabulary]


class _TokenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, weight, bias, targets, temperature, cap):
        """Of softmax(products / temperature) or, with `cap`, of softmax(tanh(products / temperature) * cap)."""
        weight = None if weight is None else weight.to(hidden.dtype)  # [vocabulary, width]
        bias = None if bias is None else bias.to(hidden.dtype)  # [vocabulary]
        logp = hidden.new_empty(len(hidden), dtype=_wide(hidden.dtype))  # [tokens]
        lse = torch.empty_like(logp)  # [tokens]
        entropy = torch.empty_like(logp)  # [tokens]
        for part in _chunks(hidden, weight):
            products = _products(hidden[part], weight, bias)  # [chunk, vocabulary]
            for rows in _rows(products):
                logits = products[rows].to(logp.dtype).div_(temperature)  # [rows, vocabulary]
                if cap is not None:
                    logits = logits.tanh_().mul_(cap)  # [rows, vocabulary]
                at = slice(part.start + rows.start, part.start + rows.stop)
                lse[at] = logits.logsumexp(1)  # [rows]
                log_softmax = logits.sub_(lse[at, None])  # [rows, vocabulary]
                logp[at] = log_softmax.gather(1, targets[at, None])[:, 0]  # [rows]
                entropy[at] = -log_softmax.exp().mul_(log_softmax).sum(1)  # [rows]
        ctx.save_for_backward(hidden, weight, bias, targets, logp, lse)
        ctx.temperature, ctx.cap = temperature, cap
        ctx.mark_non_differentiable(entropy)
        return logp, entropy

    @staticmethod
    def backward(ctx, grad, _entropy_grad):
        hidden, weight, bias, targets, logp, lse = ctx.saved_tensors
        grad_hidden = torch.empty_like(hidden)  # [tokens, width]
        # Accumulated in the wide type: thousands of chunks in bf16 would lose the small terms.
        grad_weight = grad_bias = None
        if ctx.needs_input_grad[1]:
            grad_weight = torch.zeros_like(weight, dtype=lse.dtype)  # [vocabulary, width]
        if ctx.needs_input_grad[2]:
            grad_bias = torch.zeros_like(bias, dtype=lse.dtype)  # [vocabulary]
        scaled = grad[:, None] / ctx.temperature  # [tokens, 1]
        if ctx.cap is not None:
            scaled = scaled * ctx.cap  # [tokens, 1]
        for part in _chunks(hidden, weight):
            products = _products(hidden[part], weight, bias)  # [chunk, vocabulary], becomes its own gradient
            # 1 - softmax in the wide type, as the difference of two rounded numbers would lose its digits
            at_target = -torch.expm1(logp[part, None]) * scaled[part]  # [chunk, 1]
            for rows in _rows(products):
                at = slice(part.start + rows.start, part.start + rows.stop)
                logits = products[rows].to(lse.dtype).div_(ctx.temperature)  # [rows, vocabulary]
                slope = None
                if ctx.cap is not None:
                    logits = logits.tanh_()  # [rows, vocabulary]
                    slope = 1 - logits.square()  # [rows, vocabulary], of tanh
                    at_target[rows] *= slope.gather(1, targets[at, None])  # [rows, 1]
                    logits = logits.mul_(ctx.cap)  # [rows, vocabulary]
                # d logp / d logits = (one-hot - softmax) / temperature
                gradient = logits.sub_(lse[at, None]).exp_().mul_(-scaled[at])  # [rows, vocabulary]
                products[rows] = gradient if slope is None else gradient.mul_(slope)  # [rows, vocabulary]
            products.scatter_(1, targets[part, None], at_target.to(products.dtype))  # [chunk, vocabulary]
            grad_hidden[part] = products if weight is None else products @ weight  # [chunk, width]
            if grad_bias is not None:
                grad_bias += products.sum(0, dtype=grad_bias.dtype)  # [vocabulary]
            if grad_weight is not None:
                for words in _slices(len(weight), 2**13):
                    grad_weight[words] += products[:, words].T @ hidden[part]  # [words, width]
        return grad_hidden, grad_weight, grad_bias, None, None, None


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def token_logprobs(
    hidden: Tensor,  # [tokens, width] the state that predicts each target
    weight: Tensor,  # [vocabulary, width] of the language-model head
    targets: Tensor,  # [tokens]
    temperature: float = 1.0,
    bias: Tensor | None = None,  # [vocabulary] of the head
    head: Head = Head(),
) -> tuple[Tensor, Tensor]:
    """Log-probs of `targets` under softmax(logits / temperature), with gradient, and entropies, without; both [tokens].

    In nats; fp32, or fp64 for fp64 input.
    """
    if head.cap is None:
        return _TokenLogprobs.apply(hidden, weight, bias, targets, temperature / head.scale, None)
    return _TokenLogprobs.apply(hidden, weight, bias, targets, head.cap / head.scale, head.cap / temperature)


def logit_logprobs(logits: Tensor, targets: Tensor, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """The same from logits [tokens, vocabulary] that are there: no copy of them all is made in fp32."""
    return _TokenLogprobs.apply(logits, None, None, targets, temperature, None)


@dataclass(frozen=True)
class Gap:
    """How far two scorings of the same tokens are apart, per token, in nats."""

    mean: float
    q99: float  # 99 % of the tokens differ by less

    def __str__(self) -> str:
        return f"{self.mean:.2g} nats per token on average, 99 % of tokens below {self.q99:.2g}"


def gap(one: Tensor, other: Tensor, mask: Tensor) -> Gap:
    """The differences of log-probs [rows, tokens] where `mask` [rows, tokens] is True; zero where it never is."""
    apart = (one - other).abs()[mask].double().cpu()  # [tokens]
    return Gap(float(apart.mean()), float(apart.quantile(0.99))) if len(apart) else Gap(0.0, 0.0)

"""Chunked log-probs against full logits, forward and backward."""

from __future__ import annotations

import pytest
import torch

from policy import logprob
from policy.logprob import token_logprobs


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_equals_full_logits(
    dtype: torch.dtype, bound: float, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logprob, "CHUNK_ELEMENTS", {"cpu": 16 * 101})  # chunks of 16 tokens, the last one ragged
    torch.manual_seed(0)
    tokens, width, vocabulary = 53, 24, 101
    hidden = torch.randn(tokens, width, dtype=dtype, requires_grad=True)
    weight = torch.randn(vocabulary, width, dtype=dtype, requires_grad=True)
    targets = torch.randint(vocabulary, (tokens,))
    upstream = torch.randn(tokens, dtype=dtype)

    logp, entropy = token_logprobs(hidden, weight, targets, temperature)
    logp.backward(upstream)
    assert hidden.grad is not None and weight.grad is not None
    seen = logp.detach(), entropy, hidden.grad.clone(), weight.grad.clone()

    hidden.grad = weight.grad = None
    full = (hidden @ weight.T / temperature).log_softmax(-1)  # [tokens, vocabulary]
    expected = full.gather(1, targets[:, None])[:, 0]  # [tokens]
    expected.backward(upstream)
    assert hidden.grad is not None and weight.grad is not None
    wanted = expected.detach(), -(full.exp() * full).sum(1).detach(), hidden.grad, weight.grad
    for name, a, b in zip(("log-probs", "entropies", "d hidden", "d weight"), seen, wanted, strict=True):
        scale = b.abs().max()
        assert ((a - b).abs().max() / scale) < bound, name


def test_a_frozen_head_gets_no_gradient() -> None:
    hidden = torch.randn(5, 4, requires_grad=True)
    weight = torch.randn(9, 4)
    logp, _ = token_logprobs(hidden, weight, torch.arange(5))
    logp.sum().backward()
    assert hidden.grad is not None and weight.grad is None


def test_memory_does_not_grow_with_tokens_times_vocabulary() -> None:
    """The largest tensor alive is one chunk of logits; full logits would be tokens * vocabulary."""
    tokens, vocabulary = 4096, 32768
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            result = function(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                largest = max(largest, result.numel())
            return result

    hidden = torch.randn(tokens, 8, requires_grad=True)
    weight = torch.randn(vocabulary, 8, requires_grad=True)
    with Watch():
        logp, _ = token_logprobs(hidden, weight, torch.zeros(tokens, dtype=torch.long))
        logp.sum().backward()
    assert largest <= logprob.CHUNK_ELEMENTS["cpu"] < tokens * vocabulary

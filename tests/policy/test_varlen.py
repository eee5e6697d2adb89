"""The kernels' way through a pack: everything but the two calls of torch's CUDA kernels, which are written out here.

The stand-ins compute what flash attention's documentation says of the calls, sequence by sequence, in float64: output
and log-sum-exp forward; backward, gradients from the output and log-sum-exp that they are given.
"""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import hypothesis
import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from torch import Tensor, nn

from policy import varlen
from policy.attention import Pack, _shared_prompt
from policy.model import Policy


def _scores(query: Tensor, key: Tensor, causal: bool, scale: float) -> Tensor:
    """[heads, queries, keys]; a causal query sees as many keys as lie before its place from the end."""
    scores = torch.einsum("qhd,khd->hqk", query, key) * scale
    hidden = torch.ones(len(query), len(key), dtype=torch.bool).triu(len(key) - len(query) + 1)
    return scores.masked_fill(hidden, float("-inf")) if causal else scores


def forward(
    query: Tensor, key: Tensor, value: Tensor, starts_q: Tensor, starts_k: Tensor, longest_q: int, longest_k: int,
    causal: bool, scale: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    out, lse = torch.full_like(query, torch.nan), query.new_full((query.shape[1], len(query)), torch.nan)
    for q, k in zip(pairwise(starts_q.tolist()), pairwise(starts_k.tolist()), strict=True):
        scores = _scores(query[slice(*q)], key[slice(*k)], causal, scale)
        out[slice(*q)] = torch.einsum("hqk,khd->qhd", scores.softmax(-1), value[slice(*k)])
        lse[:, slice(*q)] = scores.logsumexp(-1)
        assert q[1] - q[0] <= longest_q and k[1] - k[0] <= longest_k
    return out, lse


def backward(
    grad: Tensor, query: Tensor, key: Tensor, value: Tensor, out: Tensor, lse: Tensor, starts_q: Tensor,
    starts_k: Tensor, longest_q: int, longest_k: int, causal: bool, scale: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    heads, groups = key.shape[1], query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    of_query, of_key, of_value = (torch.zeros_like(x) for x in (query, key, value))
    for ends_q, ends_k in zip(pairwise(starts_q.tolist()), pairwise(starts_k.tolist()), strict=True):
        q, k = slice(*ends_q), slice(*ends_k)
        shares = (_scores(query[q], key[k], causal, scale) - lse[:, q, None]).exp()  # [heads, queries, keys]
        of_value[k] += torch.einsum("hqk,qhd->khd", shares, grad[q])
        inner = (grad[q] * out[q]).sum(-1).T[:, :, None]  # [heads, queries, 1]
        slope = shares * (torch.einsum("qhd,khd->hqk", grad[q], value[k]) - inner) * scale  # [heads, queries, keys]
        of_query[q] += torch.einsum("hqk,khd->qhd", slope, key[k])
        of_key[k] += torch.einsum("hqk,qhd->khd", slope, query[q])

    def per_key_head(x: Tensor) -> Tensor:
        return x.unflatten(1, (heads, groups)).sum(2)

    return of_query, per_key_head(of_key), per_key_head(of_value)


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(varlen, "_forward", forward)
    monkeypatch.setattr(varlen, "_backward", backward)


def both(
    prompts: list[int], rows: list[list[int]], heads: int, key_heads: int, monkeypatch: pytest.MonkeyPatch
) -> list[list[Tensor]]:
    """Output and gradients of one layer's attention: masked, and by the kernels."""
    pack = Pack(prompts, rows, torch.device("cpu"))
    tokens, size = sum(prompts) + sum(map(sum, rows)), 4
    torch.manual_seed(0)
    module: Any = nn.Module()
    module.num_key_value_groups, module.is_causal = heads // key_heads, True
    shapes = [(1, heads, tokens, size), (1, key_heads, tokens, size), (1, key_heads, tokens, size)]
    values = [torch.randn(shape, dtype=torch.float64) for shape in shapes]
    wanted = torch.randn(1, tokens, heads, size, dtype=torch.float64)
    found = []
    for by_kernels in (False, True):
        with monkeypatch.context() as patch:
            if by_kernels:
                patch.setattr(varlen, "applies", lambda *_: all(map(sum, rows)))
            inputs = [value.clone().requires_grad_() for value in values]
            query, key, value = inputs
            out, _ = _shared_prompt(module, query, key, value, None, pack=pack, scaling=0.3)
            (out * wanted).sum().backward()
            found.append([out.detach(), *(x.grad for x in inputs if x.grad is not None)])
    return found


@given(
    st.lists(st.tuples(st.integers(1, 6), st.lists(st.integers(0, 5), min_size=1, max_size=4)), min_size=1, max_size=3),
    st.sampled_from([(1, 1), (4, 2), (2, 1)]),
)
@hypothesis.settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_kernels_road_equals_masked_attention(
    kernels: None, monkeypatch: pytest.MonkeyPatch, groups: list[tuple[int, list[int]]], heads: tuple[int, int]
) -> None:
    """Values and gradients: prompts and rows of any lengths, also rows of none, several prompts, shared key heads."""
    masked, fast = both([p for p, _ in groups], [rows for _, rows in groups], *heads, monkeypatch)
    for ours, theirs in zip(fast, masked, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_the_joint_log_sum_exp_is_what_makes_gradients_right(kernels: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: without the merge, a row would see itself alone."""
    monkeypatch.setattr(torch, "logaddexp", lambda own, seen: own)
    masked, fast = both([3], [[2, 4]], 2, 1, monkeypatch)
    assert not torch.allclose(fast[2], masked[2])


def test_packed_prompts_equal_prompts_one_by_one(policy: Policy) -> None:
    prompts = [[5, 6, 7], [5, 6, 7], [9, 8, 7, 6, 5], [4]]
    tokens = torch.tensor([[1, 2, 3], [4, 0, 0], [7, 8, 0], [9, 9, 9]])
    mask = torch.tensor([[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, 1, 1]], dtype=torch.bool)
    with torch.no_grad():
        packed, _ = policy.logprobs(prompts, tokens, mask, 0.7)
        alone = [
            policy.logprobs([p], t[None], m[None], 0.7)[0][0] for p, t, m in zip(prompts, tokens, mask, strict=True)
        ]
    torch.testing.assert_close(packed, torch.stack(alone), rtol=0, atol=1e-5)


def test_a_cpu_goes_the_masked_road(policy: Policy) -> None:
    x = torch.zeros(1, 2, 3, 8, dtype=torch.bfloat16)
    assert not varlen.applies(x, x, x, [[1]], {})


@pytest.mark.parametrize(("capability", "kernels"), [((7, 5), False), ((8, 0), True), ((12, 0), True)])
def test_the_kernels_want_an_ampere_gpu(
    capability: tuple[int, int], kernels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Earlier ones (T4, V100) would raise in the first update."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    x: Any = SimpleNamespace(
        is_cuda=True, device=torch.device("cuda", 0), dtype=torch.bfloat16, shape=torch.Size([1, 2, 3, 8])
    )
    assert varlen.applies(x, x, x, [[1]], {}) is kernels

"""Attention over packed sequences by torch's flash-attention kernels: GPUs from Ampere on, bf16 and fp16.

A row sees its prompt and itself. Softmax over the union of two sets of keys is made of the softmaxes over each, weighed
by their sums of exponentials (as in FlashDecoding and ring attention): one call lets every sequence see itself, another
lets all rows of a prompt see the prompt. So the keys and values of a prompt are read where they lie, and none is copied
or padded. Backward, each call is given the joint output and the joint log-sum-exp, from which the kernel computes the
joint probabilities, and so the exact gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.varlen import AuxRequest, varlen_attn

WIDEST = 256  # head width that the kernels take
OLDEST = (8, 0)  # compute capability of the GPUs that they are built for: Ampere, such as A100


@dataclass(frozen=True)
class Segments:
    """Where sequences lie in a pack (policy/attention.py): all prompts, then all rows."""

    split: int  # tokens of all prompts
    own: Tensor  # [sequences + 1] int32, where each prompt and each row begins
    longest: int  # of those
    prompts: Tensor  # [prompts + 1] int32, where each prompt begins
    longest_prompt: int
    groups: Tensor  # [prompts + 1] int32, where the rows of each prompt begin, counted from `split`
    longest_group: int


def segments(prompts: Sequence[int], rows: Sequence[Sequence[int]], device: torch.device) -> Segments:
    """From the lengths of prompts and of their rows; a row of no tokens is left out."""
    lengths = [*prompts, *(row for group in rows for row in group if row)]
    groups = [sum(group) for group in rows]

    def starts(sizes: Sequence[int]) -> Tensor:
        return torch.tensor(list(accumulate(sizes, initial=0)), dtype=torch.int32, device=device)  # [sequences + 1]

    return Segments(
        sum(prompts), starts(lengths), max(lengths), starts(prompts), max(prompts), starts(groups), max(groups)
    )


def applies(query: Tensor, key: Tensor, value: Tensor, rows: Sequence[Sequence[int]], options: dict[str, Any]) -> bool:
    """Whether the kernels compute what this layer means; masked attention does otherwise."""
    return (
        query.is_cuda
        and torch.cuda.get_device_capability(query.device) >= OLDEST
        and _dtype(query) in (torch.bfloat16, torch.float16)
        and query.shape[-1] == key.shape[-1] == value.shape[-1] <= WIDEST
        and query.shape[-1] % 8 == 0
        and query.shape[1] % key.shape[1] == 0
        and not options.get("dropout")
        and not any(options.get(name) is not None for name in ("softcap", "s_aux"))  # soft cap and sinks of a layer
        and all(sum(group) for group in rows)
    )


def _dtype(x: Tensor) -> torch.dtype:
    """In which attention is computed: norms of queries and keys come out in fp32 under autocast."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def attention(query: Tensor, key: Tensor, value: Tensor, places: Segments, scale: float | None) -> Tensor:
    """`query` [1, heads, tokens, size], `key` and `value` with as many heads or fewer -> [1, tokens, heads, size]."""
    packed = [x[0].transpose(0, 1).to(_dtype(x)).contiguous() for x in (query, key, value)]  # [tokens, heads, size]
    out: Tensor = _Attention.apply(*packed, places, query.shape[-1] ** -0.5 if scale is None else scale)
    return out[None]  # [1, tokens, heads, size]


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query, key, value, places: Segments, scale):
        at = places.split
        # [tokens, heads, size], [heads, tokens]
        own, lse = _forward(query, key, value, places.own, places.own, places.longest, places.longest, True, scale)
        seen, lse_seen = _forward(
            query[at:], key[:at], value[:at], places.groups, places.prompts,
            places.longest_group, places.longest_prompt, False, scale,
        )  # [tokens of rows, heads, size], [heads, tokens of rows]  # fmt: skip
        joint = torch.logaddexp(lse[:, at:], lse_seen)  # [heads, tokens of rows]
        share = (lse_seen - joint).exp().T[:, :, None]  # [tokens of rows, heads, 1], of the prompt in a row's softmax
        # [tokens, heads, size]
        out = torch.cat([own[:at], torch.lerp(own[at:].to(share.dtype), seen.to(share.dtype), share).to(own.dtype)])
        lse = torch.cat([lse[:, :at], joint], 1)  # [heads, tokens]
        ctx.save_for_backward(query, key, value, out, lse)
        ctx.places, ctx.scale = places, scale
        return out

    @staticmethod
    def backward(ctx, grad):
        query, key, value, out, lse = ctx.saved_tensors
        places, scale = ctx.places, ctx.scale
        at = places.split
        grad = grad.contiguous()  # [tokens, heads, size]
        of_query, of_key, of_value = _backward(  # each [tokens, heads, size]
            grad, query, key, value, out, lse, places.own, places.own, places.longest, places.longest, True, scale
        )
        # [tokens of rows, heads, size], then twice [tokens of prompts, heads, size]
        more_query, more_key, more_value = _backward(
            grad[at:], query[at:], key[:at], value[:at], out[at:], lse[:, at:].contiguous(), places.groups,
            places.prompts, places.longest_group, places.longest_prompt, False, scale,
        )  # fmt: skip
        of_query[at:] += more_query
        of_key[:at] += more_key
        of_value[:at] += more_value
        return of_query, of_key, of_value, None, None


def _forward(
    query: Tensor, key: Tensor, value: Tensor, starts_q: Tensor, starts_k: Tensor, longest_q: int, longest_k: int,
    causal: bool, scale: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Output [tokens, heads, size] and log-sum-exp [heads, tokens] of the queries of each sequence over its keys."""
    window = (-1, 0) if causal else (-1, -1)
    out, lse = varlen_attn(
        query, key, value, starts_q, starts_k, longest_q, longest_k, return_aux=AuxRequest(lse=True), scale=scale,
        window_size=window, enable_gqa=True,
    )  # fmt: skip
    return out, lse  # [tokens, heads, size], [heads, tokens]


def _backward(
    grad: Tensor, query: Tensor, key: Tensor, value: Tensor, out: Tensor, lse: Tensor, starts_q: Tensor,
    starts_k: Tensor, longest_q: int, longest_k: int, causal: bool, scale: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of query, key and value, from the output and the log-sum-exp of all that the queries saw."""
    unused = torch.zeros(2, dtype=torch.uint64, device=query.device)  # [2], dropout's state, of which there is none
    gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.torch_attn._varlen_attn_backward(
        grad, query, key, value, out, lse, starts_q, starts_k, longest_q, longest_k, causal, unused, scale,
        [-1, 0] if causal else [-1, -1],
    )  # fmt: skip
    return gradients

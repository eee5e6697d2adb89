"""Attention of a group of completions over the one prompt they share, so that the prompt is computed once.

The rows go through the model as one sequence: prompt, completion, completion, ... Everything but attention works on
single tokens and never notices; here the sequence is taken apart again. No key-value cache is involved, so it goes
together with gradient checkpointing, and a layer holds its own keys only.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from policy import lora

NAME = "shared_prompt"


def _shared_prompt(
    module: nn.Module,
    query: Tensor,  # [1, heads, prompt + rows * tokens, head width]
    key: Tensor,  # [1, key heads, prompt + rows * tokens, head width]
    value: Tensor,  # [1, key heads, prompt + rows * tokens, head width]
    attention_mask: Tensor | None,  # [1, 1, tokens, prompt + tokens] of one completion
    *,
    completions: int | None = None,  # rows; None: an ordinary call, for instance by generate
    **kwargs: Any,
) -> tuple[Tensor, None]:
    if completions is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    assert attention_mask is not None
    tokens, width = attention_mask.shape[2:]
    prompt = width - tokens
    if (kwargs.get("sliding_window") or width) < width:
        raise ValueError(f"a sequence of {width} tokens is longer than the model's sliding window")

    def own(x: Tensor) -> Tensor:
        heads, size = x.shape[1], x.shape[3]
        return x[0, :, prompt:].view(heads, completions, tokens, size).transpose(0, 1)  # [rows, heads, tokens, size]

    def seen(x: Tensor) -> Tensor:
        return torch.cat([x[:, :, :prompt].expand(completions, -1, -1, -1), own(x)], 2)  # [rows, heads, width, size]

    first, _ = sdpa_attention_forward(
        module, query[:, :, :prompt], key[:, :, :prompt], value[:, :, :prompt], None, **kwargs
    )  # [1, prompt, heads, size]
    rest, _ = sdpa_attention_forward(module, own(query), seen(key), seen(value), attention_mask, **kwargs)
    return torch.cat([first, rest.flatten(0, 1)[None]], 1), None  # [1, prompt + rows * tokens, heads, size]


AttentionInterface.register(NAME, _shared_prompt)
AttentionMaskInterface.register(NAME, sdpa_mask)


def body(model: PreTrainedModel) -> Any:
    """The model without its head."""
    base: Any = lora.base(model)
    decoder = base.get_decoder()
    return base.model if decoder is base and hasattr(base, "model") else decoder  # Llama 4 knows no decoder of its own


def hidden_states(model: PreTrainedModel, prompt: Tensor, completions: Tensor) -> Tensor:
    """Last hidden states [rows, tokens, width], each the one that predicts its token of `completions` [rows, tokens].

    `prompt` [prompt] comes before every row; rows are padded on the right.
    """
    rows, tokens = completions.shape[0], completions.shape[1] - 1  # the last token predicts nothing
    size = len(prompt)
    device = completions.device
    ids = torch.cat([prompt, completions[:, :-1].flatten()])  # [prompt + rows * tokens]
    after = torch.arange(size, size + tokens, device=device)  # [tokens]
    positions = torch.cat([torch.arange(size, device=device), after.repeat(rows)])  # [prompt + rows * tokens]
    extra: dict[str, Any] = {}
    if tokens:
        seen = torch.ones(tokens, size + tokens, dtype=torch.bool, device=device)  # [tokens, prompt + tokens]
        extra = {"attention_mask": seen.tril(size)[None, None], "completions": rows}
    # Not set back: gradient checkpointing runs the layers again during backward.
    model.config._attn_implementation = NAME
    states = body(model)(input_ids=ids[None], position_ids=positions[None], use_cache=False, **extra).last_hidden_state[
        0
    ]
    first = states[size - 1].expand(rows, 1, -1)  # [rows, 1, width]
    return torch.cat([first, states[size:].view(rows, tokens, states.shape[-1])], 1)  # [rows, tokens + 1, width]

"""Attention of groups of completions over the prompts they share, so that a prompt is computed once.

A pack is one sequence: all prompts, then all completions, without padding. Everything but attention works on single
tokens and never notices; here the sequence is taken apart again. No key-value cache is involved, so it goes together
with gradient checkpointing, and a layer holds its own keys only. On a GPU the kernels of policy/varlen.py do this in
place; anywhere else torch's masked attention does, a prompt's completions at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from policy import lora, varlen

NAME = "shared_prompt"


@dataclass(frozen=True)
class Pack:
    """How prompts and rows lie in a pack. A row is a completion but its last token, which predicts nothing."""

    prompts: list[int]  # their lengths
    rows: list[list[int]]  # of each prompt, the lengths of its rows
    device: torch.device

    @cached_property
    def prompt_starts(self) -> list[int]:
        return list(accumulate(self.prompts, initial=0))

    @cached_property
    def row_starts(self) -> list[int]:
        """Where each row begins, all prompts' rows one after the other; and where the last one ends."""
        return list(accumulate((length for rows in self.rows for length in rows), initial=self.prompt_starts[-1]))

    @cached_property
    def positions(self) -> Tensor:
        """Of each token in its own sequence, [tokens of the pack]."""
        parts = [torch.arange(size) for size in self.prompts]
        parts += [
            torch.arange(size, size + row) for size, rows in zip(self.prompts, self.rows, strict=True) for row in rows
        ]
        return torch.cat(parts).to(self.device)

    def predicting(self, states: Tensor) -> Tensor:
        """Of the pack's states [tokens, width] those that predict each token of each completion, [loss tokens, width].

        No index: all rows of a prompt begin at its last token, and the gradient of an indexing with repeats is summed
        in an order that threads decide, so that no two runs would agree in the last digits.
        """
        # each [its tokens, width]
        parts = states.split([*self.prompts, *(length for rows in self.rows for length in rows)])
        last = [prompt[-1:] for prompt in parts[: len(self.prompts)]]  # each [1, width]
        first = [last[group] for group, rows in enumerate(self.rows) for _ in rows]  # of each row [1, width]
        pairs = zip(first, parts[len(self.prompts) :], strict=True)  # each row's [1, width], [its tokens - 1, width]
        return torch.cat([part for pair in pairs for part in pair])

    @cached_property
    def padded(self) -> list[tuple[Tensor, Tensor, Tensor]]:
        """For each prompt: the places of its rows' tokens, padded [rows, width]; which are real, as places in those
        flattened [tokens of the rows]; and what a row sees of prompt and itself [width, prompt + width]."""
        found, number = [], 0
        for size, rows in zip(self.prompts, self.rows, strict=True):
            width = max(rows)
            starts = torch.tensor(self.row_starts[number : number + len(rows)])[:, None]  # [rows, 1]
            steps = torch.arange(width)  # [width]
            real = steps < torch.tensor(rows)[:, None]  # [rows, width]
            places = torch.where(real, starts + steps, 0)  # [rows, width]; padding is never seen
            seen = torch.ones(width, size + width, dtype=torch.bool).tril(size)  # [width, prompt + width]
            keep = real.flatten().nonzero()[:, 0]  # [tokens of the rows]
            found.append((places.to(self.device), keep.to(self.device), seen.to(self.device)))
            number += len(rows)
        return found

    @cached_property
    def segments(self) -> varlen.Segments:
        return varlen.segments(self.prompts, self.rows, self.device)


def _shared_prompt(
    module: nn.Module,
    query: Tensor,  # [1, heads, tokens, head width]
    key: Tensor,  # [1, key heads, tokens, head width]
    value: Tensor,  # [1, key heads, tokens, head width]
    attention_mask: Tensor | None,
    *,
    pack: Pack | None = None,  # None: an ordinary call, for instance by generate
    **kwargs: Any,
) -> tuple[Tensor, None]:
    if pack is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    longest = max(size + max(rows) for size, rows in zip(pack.prompts, pack.rows, strict=True))
    if (kwargs.get("sliding_window") or longest) < longest:
        raise ValueError(f"a sequence of {longest} tokens is longer than the model's sliding window")
    if varlen.applies(query, key, value, pack.rows, kwargs):
        return varlen.attention(query, key, value, pack.segments, kwargs.get("scaling")), None
    outputs: list[Tensor] = []  # each [tokens, heads, size]: the prompts, then their rows
    for group, (places, keep, seen) in enumerate(pack.padded):
        prompt = slice(pack.prompt_starts[group], pack.prompt_starts[group + 1])

        def own(x: Tensor, places: Tensor = places) -> Tensor:
            picked = x[0].index_select(1, places.flatten())  # [heads, rows * width, size]
            return picked.unflatten(1, places.shape).transpose(0, 1)  # [rows, heads, width, size]

        def whole(x: Tensor, prompt: slice = prompt, rows: int = len(places)) -> Tensor:
            return torch.cat([x[:, :, prompt].expand(rows, -1, -1, -1), own(x)], 2)  # [rows, heads, seen tokens, size]

        first, _ = sdpa_attention_forward(
            module, query[:, :, prompt], key[:, :, prompt], value[:, :, prompt], None, **kwargs
        )  # [1, prompt, heads, size]
        outputs.insert(group, first[0])
        if places.numel():
            rest, _ = sdpa_attention_forward(module, own(query), whole(key), whole(value), seen[None, None], **kwargs)
            outputs.append(rest.flatten(0, 1).index_select(0, keep))  # [tokens of the rows, heads, size]
    return torch.cat(outputs)[None], None  # [1, tokens, heads, size]


AttentionInterface.register(NAME, _shared_prompt)
AttentionMaskInterface.register(NAME, sdpa_mask)


def body(model: PreTrainedModel) -> Any:
    """The model without its head."""
    base: Any = lora.base(model)
    decoder = base.get_decoder()
    return base.model if decoder is base and hasattr(base, "model") else decoder  # Llama 4 knows no decoder of its own


def hidden_states(
    model: PreTrainedModel,
    prompts: Sequence[Tensor],  # each [its tokens]
    counts: Sequence[int],  # how many rows of `completions` belong to each prompt, in order
    completions: Tensor,  # [rows, tokens] right-padded
    lengths: Sequence[int],  # of the rows, padding left out; each at least 1
) -> Tensor:
    """Last hidden states [loss tokens, width], each the one that predicts its token; a row's one after the other."""
    left = iter(lengths)
    pack = Pack([len(prompt) for prompt in prompts], [[next(left) - 1 for _ in range(n)] for n in counts],
                completions.device)  # fmt: skip
    entering = [row[: length - 1] for row, length in zip(completions, lengths, strict=True)]  # each [its tokens - 1]
    ids = torch.cat([*prompts, *entering])  # [tokens of the pack]
    # A mask of four dimensions is handed on as it is, and one of none would have transformers make a large one.
    handed_on = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=ids.device)  # [1, 1, 1, 1]
    # Not set back: gradient checkpointing runs the layers again during backward.
    model.config._attn_implementation = NAME
    states = body(model)(
        input_ids=ids[None],
        position_ids=pack.positions[None],
        use_cache=False,
        attention_mask=handed_on,
        pack=pack,
    ).last_hidden_state[0]  # [tokens of the pack, width]
    return pack.predicting(states)  # [loss tokens, width]

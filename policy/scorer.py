"""Log-probs by the fastest layout that is exact for the model at hand: its prompt shared, else its own plain forward.

What is exact is found on the loaded model and not by its name. A few rows of unequal length behind two prompts are
scored in every layout and compared with the model's own logits, row by row. A short probe is blind to what changes with
length or hardly shows on some weights, so the configuration and the kinds of layers are looked at too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from base.errors import ModelError
from policy import lora
from policy.attention import NAME, body, hidden_states
from policy.logprob import Head, logit_logprobs, token_logprobs

# Mean difference of a token's log-prob that rounding alone explains, in nats, by the dtype of the weights. Norms are
# computed in fp32 even in a model of fp64. What another architecture would give is off by 0.5 and more.
ROUNDING = {torch.float64: 1e-6, torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.03}
ATTENTION = {"attention", "full_attention", "sliding_attention", "chunked_attention"}  # names in config.layer_types
PROBE = {7: (5, 3, 1), 4: (2, 4)}  # tokens of each of the probe's prompts, and of each of its rows
# What configurations call the things that a head does to its logits: first a factor (or divisor), then a soft cap.
FACTORS = ("logit_scale", "logits_scaling", "lm_head_multiplier", "logits_mup_width_multiplier", "output_multiplier")
CAPS = ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap")
TABLES = {"wpe", "embed_positions", "positions_embed", "pos_encoding"}  # of positions, by the names that models have
WINDOWS = ("sliding_window", "attention_chunk_size")  # some layers of attention see no more of a sequence


@dataclass(frozen=True)
class Layout:
    """How rows are laid out where their log-probs are computed."""

    head: Head | None  # None: the model's own logits are taken
    shared: float = 0  # tokens of the longest sequence that can share its prompt with other rows
    side_by_side: float = float("inf")  # tokens of the longest sequence that can go beside rows of other lengths
    why: str = ""  # why a prompt is not, or not always, shared


class Scorer(nn.Module):
    """Log-probs as one module's forward, which is where FSDP2 gathers and frees the weights.

    Raises ModelError for a model whose own forward pass does not work.
    """

    def __init__(self, model: PreTrainedModel, layout: Layout | None = None) -> None:
        super().__init__()
        self.model = model
        disable_noise(model)
        self.layout = layout or fastest_layout(self)

    def forward(
        self,
        prompts: Sequence[Tensor],  # each [its tokens]
        counts: Sequence[int],  # how many rows belong to each prompt, in order
        completions: Tensor,  # [rows, tokens] right-padded
        mask: Tensor,  # [rows, tokens] True for real tokens
        temperature: float,
        layout: Layout | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Log-probs and entropies, both [rows, tokens] in nats; 0 where masked. `layout`: another one than found.

        In a layout that lets rows go side by side, all of them go through the model in one pass.
        """
        layout = layout or self.layout
        lengths: list[int] = mask.sum(1).tolist()
        longest = max(map(len, prompts)) + completions.shape[1]
        if longest <= layout.shared:
            states = hidden_states(self.model, prompts, counts, completions, lengths)  # [loss tokens, width]
            return self._scored(states, layout.head, completions, mask, temperature)
        each = [prompt for prompt, count in zip(prompts, counts, strict=True) for _ in range(count)]  # of each row
        rows = [torch.cat([prompt, row[:n]]) for prompt, row, n in zip(each, completions, lengths, strict=True)]
        if longest <= layout.side_by_side:
            padded = pad_sequence(rows, batch_first=True)  # [rows, tokens]
            states = self._forward(padded, layout.head)  # [rows, tokens, width or vocabulary]
            parts = [  # each [its loss tokens, width or vocabulary]
                row[len(prompt) - 1 : len(prompt) - 1 + n] for row, prompt, n in zip(states, each, lengths, strict=True)
            ]
        else:
            parts = [  # each [its loss tokens, width or vocabulary]
                self._forward(row[None], layout.head)[0, len(prompt) - 1 : -1]
                for row, prompt in zip(rows, each, strict=True)
            ]
        return self._scored(torch.cat(parts), layout.head, completions, mask, temperature)

    def _forward(self, ids: Tensor, head: Head | None) -> Tensor:
        """The model's plain forward pass over `ids` [rows, tokens], padded on the right, which a causal model never
        sees.

        Gives last hidden states [rows, tokens, width], or without `head` the model's own logits
        [rows, tokens, vocabulary].
        """
        seen: Tensor
        if head is None:
            seen = self.model(input_ids=ids, use_cache=False).logits  # [rows, tokens, vocabulary]
        else:
            seen = body(self.model)(input_ids=ids, use_cache=False).last_hidden_state  # [rows, tokens, width]
        return seen

    def _scored(
        self,
        states: Tensor,  # [loss tokens, width or vocabulary]
        head: Head | None,
        completions: Tensor,  # [rows, tokens]
        mask: Tensor,  # [rows, tokens]
        temperature: float,
    ) -> tuple[Tensor, Tensor]:
        targets = completions[mask]  # [loss tokens]
        if head is None:
            logp, entropy = logit_logprobs(states, targets, temperature)  # [loss tokens], [loss tokens]
        else:
            if torch.is_autocast_enabled(device := states.device.type):  # which the head's own backward does not see
                states = states.to(torch.get_autocast_dtype(device))  # [loss tokens, width]
            weight, bias = lora.head(self.model)  # [vocabulary, width], [vocabulary]
            logp, entropy = token_logprobs(states, weight, targets, temperature, bias, head)  # 2 x [loss tokens]
        place = mask.nonzero(as_tuple=True)  # 2 x [loss tokens]: row, column
        shape = completions.shape
        return (
            logp.new_zeros(shape).index_put(place, logp),  # [rows, tokens]
            entropy.new_zeros(shape).index_put(place, entropy),  # [rows, tokens]
        )


ROW_BY_ROW = Layout(None, shared=0, side_by_side=0)  # the model's own logits: what every other layout is compared with


def disable_noise(model: PreTrainedModel) -> None:
    """Switches dropout and routers' jitter off: a trainer that scores with noise does not score what was sampled."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name, value in vars(module).items():
            if ("dropout" in name or "jitter" in name) and isinstance(value, float):
                setattr(module, name, 0.0)


@torch.no_grad()
def fastest_layout(scorer: Scorer) -> Layout:
    """The fastest layout with which a probe's log-probs are the model's own. Raises ModelError if none works."""
    model = scorer.model
    name = type(lora.base(model)).__name__
    config = model.config.get_text_config()
    device = next(model.parameters()).device
    dtype = next(model.parameters()).dtype
    rounding = ROUNDING[dtype]
    lengths = [length for rows in PROBE.values() for length in rows]
    draw = torch.Generator().manual_seed(0)
    words = min(config.vocab_size, 1000)
    prompts = [torch.randint(words, (size,), generator=draw).to(device) for size in PROBE]  # each [its tokens]
    counts = [len(rows) for rows in PROBE.values()]
    completions = torch.randint(words, (len(lengths), max(lengths)), generator=draw).to(device)  # [rows, tokens]
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).to(device)  # [rows, tokens]

    def score(layout: Layout) -> Tensor:
        return scorer(prompts, counts, completions, mask, 1.0, layout)[0][mask]  # [loss tokens]

    def fault(layout: Layout) -> str:
        """What is wrong with a layout; "" if it is exact."""
        try:
            apart = float((score(layout) - own).abs().mean())
        except Exception as error:  # the model's code cannot run in this layout
            return _in_short(error)
        return "" if apart <= rounding else f"log-probs are off by {apart:.2g} nats"

    narrow = dtype.itemsize == 2  # adapters are fp32 all the same, and do not go with other inputs of themselves
    with _evaluated(model), torch.autocast(device.type, dtype if narrow else None, enabled=narrow):
        try:
            own = score(ROW_BY_ROW)  # [loss tokens]
        except Exception as error:
            raise ModelError(f"model.path: {name} cannot score its own tokens ({_in_short(error)})") from error
        if not own.isfinite().all():
            raise ModelError(f"model.path: {name} gives log-probs that are not finite")
        first = scorer(prompts, counts, completions[:, :1], mask[:, :1], 1.0, ROW_BY_ROW)[0][:, 0]  # [rows]
        starts = mask.sum(1).cumsum(0) - mask.sum(1)  # [rows], where each row begins in `own`
        if float((first - own[starts]).abs().mean()) > 5 * rounding:
            raise ModelError(
                f"model.path: {name} sees the tokens that come after (a masked language model?), so that it cannot "
                "write from left to right"
            )
        head = next((head for head in heads(config) if not fault(Layout(head, 0, 0))), None)
        if trouble := fault(Layout(head)):
            return Layout(head, 0, 0, f"{name} cannot compute rows of unequal length side by side ({trouble})")
        side_by_side = rope_limit(config)
        if head is None:
            return Layout(None, 0, side_by_side, f"{name} does more to its logits than is known here")
        if why := _unshareable(model):
            return Layout(head, 0, side_by_side, f"{name}: {why}")
        window = attention_limit(config)
        its_own = model.config._attn_implementation
        if trouble := fault(Layout(head, float("inf"))):
            model.config._attn_implementation = its_own
            return Layout(head, 0, side_by_side, f"the attention of {name} cannot go over a shared prompt ({trouble})")
        return Layout(head, min(window, side_by_side), side_by_side, f"{name} looks back over {window} tokens only")


def _in_short(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


@contextmanager
def _evaluated(model: PreTrainedModel) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def heads(config: Any) -> list[Head]:
    """What the head may do to its logits, by the configuration; the same key is a factor here and a divisor there."""
    factors = [float(value) for key in FACTORS if (value := getattr(config, key, None))]
    caps = [float(value) for key in CAPS if (value := getattr(config, key, None))]
    scales = [1.0, *(scale for factor in factors for scale in (factor, 1 / factor) if scale != 1)]
    return [Head(scale, cap) for cap in [*caps, None] for scale in reversed(scales)]


def _unshareable(model: PreTrainedModel) -> str:
    """Why rows must not lie behind one another in one sequence, where the model's own description tells."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or getattr(config, "layers_block_type", None) or ()) - ATTENTION
    if kinds:
        return f"layers that are not attention ({', '.join(sorted(kinds))}) carry one row's tokens into the next"
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv1d):
            return f"a layer that is not attention ({name}) carries one row's tokens into the next"
    if any(key.startswith("index_topk") and value for key, value in vars(config).items()):
        return "attention to chosen tokens only (index_topk) may choose another row's"
    if getattr(config, "attn_temperature_tuning", False):  # from 8,192 tokens on, which no probe reaches
        return "its attention is scaled by a token's place in the sequence at hand (attn_temperature_tuning)"
    if model.config._attn_implementation not in ("sdpa", NAME):
        return f"its attention ({model.config._attn_implementation}) is not torch's scaled dot product"
    return ""


def attention_limit(config: Any) -> float:
    """Tokens of the longest sequence that every attention layer sees all of."""
    kinds = getattr(config, "layer_types", None)
    if kinds is not None and not {"sliding_attention", "chunked_attention"} & set(kinds):
        return float("inf")
    return min((bound for key in WINDOWS if isinstance(bound := getattr(config, key, None), int)), default=float("inf"))


def rope_limit(config: Any) -> float:
    """Tokens of the longest sequence that has the same rotary positions as any shorter one."""
    given = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    sets = [given, *(value for value in given.values() if isinstance(value, dict))]
    kinds = {str(one.get("rope_type") or one.get("type")): one for one in sets}
    bounds = [
        one.get("original_max_position_embeddings")
        or getattr(config, "original_max_position_embeddings", None)
        or config.max_position_embeddings
        for kind, one in kinds.items()
        if kind == "longrope" or "dynamic" in kind
    ]
    return min(bounds, default=float("inf"))


def position_limit(model: PreTrainedModel) -> float:
    """Tokens of the longest sequence that a model has positions for, where it looks them up in a table."""
    decoder, config = body(model), model.config.get_text_config()
    if config.model_type == "mpt":
        return float(config.max_seq_len)  # of the biases that stand for positions
    names = (name for tensors in (decoder.named_parameters(), decoder.named_buffers()) for name, _ in tensors)
    if any(TABLES & set(name.split(".")) for name in names):
        return float(config.max_position_embeddings)
    return float("inf")

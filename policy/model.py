"""The policy: a causal language model, its tokenizer and its chat, and the log-probs it gives to completions."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    DynamicCache,
    GenerationConfig,
    PreTrainedModel,
)
from transformers.utils.logging import disable_progress_bar

from languages import Language
from policy.logprob import token_logprobs
from problems.problem import Problem
from problems.prompt import messages


class ModelError(Exception):
    """A model that cannot be used. The message is one sentence that names the config key and what to do."""


def folder(config: DictConfig) -> str:
    """Where the weights are: `model.path` (a folder or a hub id), or the folder that `model.build` makes.

    `model.build` names a module of ours whose `ensure()` builds the model if needed (`policy.tiny`, `policy.smollm2`).
    """
    if "base_url" in config:
        raise ModelError("model=endpoint has no weights here; evaluate.py and reformulate.py can ask it, no other can")
    if config.path:
        return str(config.path)
    return str(importlib.import_module(config.build).ensure())


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _whole(source: str) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)


def _outline(source: str) -> PreTrainedModel:
    """The model's configuration and nothing that takes memory."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(source))
    with contextlib.suppress(OSError):  # a model without a generation config has its ends in the tokenizer
        model.generation_config = GenerationConfig.from_pretrained(source)
    return model


@dataclass
class Policy:
    """A model in training (fp32 master weights) or under evaluation, with what turns a problem into its tokens."""

    model: PreTrainedModel
    tokenizer: Any
    config: DictConfig  # the config group `model`
    source: str  # folder or hub id the weights came from
    trainable: bool = True  # False: the model is an outline without weights

    @classmethod
    def load(cls, config: DictConfig, checkpoint: Path | None = None, weights: bool = True) -> Policy:
        """Loads `config` (the group `model`), with the weights of `checkpoint` instead of its own if there is one.

        `weights=False` loads none: enough where another engine samples and nobody trains. Raises ModelError when the
        weights are not to be had.
        """
        source = str(checkpoint) if checkpoint else folder(config)
        disable_progress_bar()  # a bar for each load and save would bury what the run itself shows
        try:
            tokenizer = AutoTokenizer.from_pretrained(source)
            model: Any = _whole(source) if weights else _outline(source)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ModelError(f"model.path: cannot load {source!r} ({reason})") from None
        if getattr(model.config, "final_logit_softcapping", None) or getattr(model.config, "logits_scaling", None):
            raise ModelError(f"model.path: {source!r} changes its logits after the head, which log-probs here do not")
        if weights:
            model = model.to(_device())
        if config.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        return cls(model, tokenizer, config, source, weights)

    @property
    def device(self) -> torch.device:
        return self.model.device if self.trainable else _device()

    @property
    def eos(self) -> list[int]:
        """Ids of the tokens that end a completion."""
        ids = self.model.generation_config.eos_token_id
        ids = self.tokenizer.eos_token_id if ids is None else ids
        return list(ids) if isinstance(ids, list) else [ids]

    @property
    def pad(self) -> int:
        pad = self.tokenizer.pad_token_id
        return int(self.eos[0] if pad is None else pad)

    def chat(self, problem: Problem, language: Language) -> str:
        """The prompt as text: the chat template over the problem's message, reasoning off."""
        return self.template(messages(problem, language, self.config.system))

    def template(self, chat: list[dict[str, str]]) -> str:
        """A chat as text, by the model's template and its switches, ready for the model's turn."""
        kwargs: Any = OmegaConf.to_container(self.config.chat_template_kwargs)
        text = self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True, **kwargs)
        return str(text)

    def encode(self, prompt: str) -> list[int]:
        """Token ids of a chat prompt, which holds its special tokens already."""
        return list(self.tokenizer(prompt, add_special_tokens=False)["input_ids"])

    def autocast(self) -> torch.autocast:
        """Compute in `model.compute_dtype` over fp32 master weights (small AdamW steps vanish in bf16 weights)."""
        dtype = getattr(torch, self.config.compute_dtype)
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype != torch.float32)

    def logprobs(
        self, prompt: Sequence[int], completions: Tensor, mask: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        """Log-probs of completions of ONE prompt, and entropies, both [rows, tokens] in nats; 0 where masked.

        `completions` [rows, tokens] right-padded, `mask` [rows, tokens] True for real tokens. The prompt is encoded
        once, and its keys and values (with their gradient) are shared by all rows: with a group of 32 short
        completions that is most of the work saved. Under gradient checkpointing, which forbids a cache, the prompt is
        repeated instead; the result is the same.
        """
        rows, tokens = completions.shape
        ids = torch.tensor([list(prompt)], device=self.device)  # [1, prompt]
        body, head = self.model.get_decoder(), self.model.get_output_embeddings()
        with self.autocast():
            if self.model.is_gradient_checkpointing and self.model.training:
                whole = torch.cat([ids.expand(rows, -1), completions], 1)  # [rows, prompt + tokens]
                hidden = body(input_ids=whole, use_cache=False).last_hidden_state  # [rows, prompt + tokens, width]
                states = hidden[:, ids.shape[1] - 1 : -1]  # [rows, tokens, width]
            else:
                cache = DynamicCache(config=self.model.config)
                first = body(input_ids=ids, past_key_values=cache, use_cache=True).last_hidden_state
                first = first[:, -1:].expand(rows, -1, -1)  # [rows, 1, width], predicts each row's first token
                if tokens > 1:
                    cache.batch_repeat_interleave(rows)
                    inner = body(input_ids=completions[:, :-1], past_key_values=cache, use_cache=True)
                    states = torch.cat([first, inner.last_hidden_state], 1)  # [rows, tokens, width]
                else:
                    states = first  # [rows, 1, width]
        logp, entropy = token_logprobs(states[mask], head.weight, completions[mask], temperature)  # [loss tokens]
        place = mask.nonzero(as_tuple=True)
        shape = (rows, tokens)
        return (
            logp.new_zeros(shape).index_put(place, logp),  # [rows, tokens]
            entropy.new_zeros(shape).index_put(place, entropy),  # [rows, tokens]
        )

    def save(self, path: Path) -> None:
        """Writes model and tokenizer as `from_pretrained` reads them, fp32."""
        self.model.save_pretrained(path)
        self.tokenizer.save_pretrained(path)

"""The policy: a causal language model, its tokenizer and its chat, and the log-probs it gives to completions."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from languages import Language
from policy.attention import hidden_states
from policy.logprob import token_logprobs
from problems.problem import Problem
from problems.prompt import messages


class ModelError(Exception):
    """A model that cannot be used. The message is one sentence that names the config key and what to do."""


def folder(config: DictConfig) -> str:
    """Where the weights are: `model.path` (a folder or a hub id), or the folder that `model.build` makes.

    `model.build` names a module of ours whose `ensure()` builds the model if needed (`policy.tiny`, `policy.smollm2`).
    """
    if config.path:
        return str(config.path)
    return str(importlib.import_module(config.build).ensure())


@dataclass
class Policy:
    """A model in training (fp32 master weights) or under evaluation, with what turns a problem into its tokens."""

    model: PreTrainedModel
    tokenizer: Any
    config: DictConfig  # the config group `model`
    source: str  # folder or hub id the weights came from

    @classmethod
    def load(cls, config: DictConfig, checkpoint: Path | None = None) -> Policy:
        """Loads `config` (the group `model`), with the weights of `checkpoint` instead of its own if there is one.

        Raises ModelError when the weights are not to be had.
        """
        source = str(checkpoint) if checkpoint else folder(config)
        disable_progress_bar()  # a bar for each load and save would bury what the run itself shows
        try:
            tokenizer = AutoTokenizer.from_pretrained(source)
            model: Any = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ModelError(f"model.path: cannot load {source!r} ({reason})") from None
        if getattr(model.config, "final_logit_softcapping", None) or getattr(model.config, "logits_scaling", None):
            raise ModelError(f"model.path: {source!r} changes its logits after the head, which log-probs here do not")
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if config.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        return cls(model.to(device), tokenizer, config, source)

    @property
    def device(self) -> torch.device:
        return self.model.device

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
        kwargs: Any = OmegaConf.to_container(self.config.chat_template_kwargs)
        return str(
            self.tokenizer.apply_chat_template(
                messages(problem, language, self.config.system),
                tokenize=False,
                add_generation_prompt=True,
                **kwargs,
            )
        )

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

        `completions` [rows, tokens] right-padded, `mask` [rows, tokens] True for real tokens. The prompt is computed
        once for all rows (`policy.attention`): with a group of short completions that is most of the work saved.
        """
        rows, tokens = completions.shape
        with self.autocast():
            states = hidden_states(self.model, torch.tensor(prompt, device=self.device), completions)
        head = self.model.get_output_embeddings()
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

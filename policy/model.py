"""The policy: a causal language model, its tokenizer and its chat, and the log-probs it gives to completions."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from peft import PeftModel
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from base.errors import ModelError
from languages import Language
from policy import lora
from policy.attention import hidden_states, sliding_window
from policy.logprob import token_logprobs
from policy.lora import LoraSettings
from policy.ranks import full_tensor
from policy.settings import ModelSettings
from problems.problem import Problem
from problems.prompt import messages


def folder(config: ModelSettings | DictConfig) -> str:
    """Where the weights are: `model.path` (a folder or a hub id), or the folder that `model.build` makes.

    `model.build` names a module of ours whose `ensure()` builds the model if needed (one of policy/builtin).
    """
    if "base_url" in config:
        raise ModelError("model=endpoint has no weights here; evaluate.py and reformulate.py can ask it, no other can")
    if config.path:
        return str(config.path)
    return str(importlib.import_module(str(config.build)).ensure())


def _outline(source: str) -> PreTrainedModel:
    """The model's configuration and nothing that takes memory."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(source))
    with contextlib.suppress(OSError):  # a model without a generation config has its ends in the tokenizer
        model.generation_config = GenerationConfig.from_pretrained(source)
    return model


@dataclass
class Policy:
    """A model in training (fp32 master weights, or LoRA) or under evaluation, and what turns a problem into tokens."""

    model: PreTrainedModel
    tokenizer: Any
    config: ModelSettings | DictConfig  # the config group `model`
    source: str  # folder or hub id of the weights without adapters
    outline: bool = False  # the model is its configuration only, without weights
    sharded: bool = False  # over the ranks, by FSDP2

    def __post_init__(self) -> None:
        self.scorer = _Scorer(self.model)
        self.reference: _Scorer | None = None

    @classmethod
    def load(
        cls,
        config: ModelSettings | DictConfig,
        checkpoint: Path | None = None,
        adapters: LoraSettings | None = None,
        weights: bool = True,
    ) -> Policy:
        """Loads `config` (the group `model`), with the weights of `checkpoint` instead of its own if there is one.

        `adapters`: the key `lora`; with a rank above 0 the model's own weights are frozen and LoRA is trained. A
        checkpoint of LoRA needs no such key. `weights=False` loads none where they are not to be merged: enough where
        another engine samples and nobody trains. Raises ModelError when the weights are not to be had.
        """
        trained = lora.saved_in(checkpoint)
        source = str(checkpoint) if checkpoint and not trained else folder(config)
        frozen = trained or (adapters is not None and adapters.rank > 0)
        disable_progress_bar()  # a bar for each load and save would bury what the run itself shows
        try:
            tokenizer = AutoTokenizer.from_pretrained(source)
            dtype = getattr(torch, config.compute_dtype) if frozen else torch.float32
            model: Any = _pretrained(source, dtype) if weights or trained else _outline(source)
            if checkpoint is not None and trained:
                model = lora.load(model, checkpoint)
            elif adapters is not None and frozen:
                model = lora.attach(model, adapters)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ModelError(f"model.path: cannot load {source!r} ({reason})") from error
        if getattr(model.config, "final_logit_softcapping", None) or getattr(model.config, "logits_scaling", None):
            raise ModelError(f"model.path: {source!r} changes its logits after the head, which log-probs here do not")
        if config.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        if not weights and not trained:
            return cls(model, tokenizer, config, source, outline=True)
        return cls(model.to(_device()), tokenizer, config, source)

    def keep_reference(self) -> None:
        """Keeps the weights without any training, for the KL term; with LoRA they are there anyway."""
        if not isinstance(self.model, PeftModel):
            model: Any = _pretrained(folder(self.config), getattr(torch, self.config.compute_dtype))
            self.reference = _Scorer(model.to(_device()).requires_grad_(False).eval())

    def shard(self) -> None:
        """Spreads weights, and so gradients and moments, over all ranks (FSDP2): each holds a part of every layer."""
        mesh = init_device_mesh(self.device.type, (torch.distributed.get_world_size(),))
        precision = MixedPrecisionPolicy(getattr(torch, self.config.compute_dtype), torch.float32)
        for layer in self.model.get_decoder().layers:
            fully_shard(layer, mesh=mesh, mp_policy=precision)
        fully_shard(self.scorer, mesh=mesh, mp_policy=precision)  # embedding, last norm, head
        self.sharded = True

    def check_length(self, tokens: int) -> None:
        """Raises ModelError when sequences of so many tokens cannot be scored here."""
        window = sliding_window(self.model)
        if window is not None and window < tokens:
            raise ModelError(
                f"model.path: {self.source!r} looks back over {window} tokens only (a sliding window), and longer "
                f"sequences cannot be trained here; rollout.max_prompt_tokens + rollout.max_new_tokens is {tokens}: "
                f"set both so that it is at most {window}"
            )

    @property
    def device(self) -> torch.device:
        return _device() if self.outline else self.model.device

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

    def trainable(self) -> list[nn.Parameter]:
        """What the optimizer changes."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def chat(self, problem: Problem, language: Language) -> str:
        """The prompt as text: the chat template over the problem's message, reasoning off."""
        return self.template(messages(problem, language, self.config.system))

    def template(self, chat: list[dict[str, str]]) -> str:
        """A chat as text, by the model's template and its switches, ready for the model's turn."""
        kwargs: dict[str, Any] = dict(self.config.chat_template_kwargs)
        text = self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True, **kwargs)
        return str(text)

    def encode(self, prompt: str) -> list[int]:
        """Token ids of a chat prompt, which holds its special tokens already."""
        return list(self.tokenizer(prompt, add_special_tokens=False)["input_ids"])

    def autocast(self, keep_casts: bool = True) -> torch.autocast:
        """Compute in `model.compute_dtype` over fp32 master weights (small AdamW steps vanish in bf16 weights).

        `keep_casts`: sampling uses each weight again and again; a pass of the trainer uses it once.
        """
        dtype = getattr(torch, self.config.compute_dtype)
        enabled = dtype != torch.float32
        return torch.autocast(self.device.type, dtype=dtype, enabled=enabled, cache_enabled=keep_casts)

    def logprobs(
        self, prompt: Sequence[int], completions: Tensor, mask: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        """Log-probs of completions of ONE prompt, and entropies, both [rows, tokens] in nats; 0 where masked.

        `completions` [rows, tokens] right-padded, `mask` [rows, tokens] True for real tokens. The prompt is computed
        once for all rows (`policy.attention`): with a group of short completions that is most of the work saved.
        """
        ids = torch.tensor(prompt, device=self.device)  # [prompt]
        with self.autocast(keep_casts=False):
            logp, entropy = self.scorer(ids, completions, mask, temperature)  # [rows, tokens], [rows, tokens]
        return logp, entropy

    @torch.no_grad()
    def reference_logprobs(
        self, prompt: Sequence[int], completions: Tensor, mask: Tensor, temperature: float
    ) -> Tensor:
        """Log-probs [rows, tokens] by the weights that training began with; arguments as for `logprobs`."""
        ids = torch.tensor(prompt, device=self.device)  # [prompt]
        scorer: Any = self.reference or self.scorer
        model: Any = self.model
        with self.autocast(keep_casts=False), nullcontext() if self.reference else model.disable_adapter():
            logp, _ = scorer(ids, completions, mask, temperature)  # [rows, tokens]
        return logp

    @torch.no_grad()
    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Every weight, whole, with adapters merged, in the compute dtype, by its name in a checkpoint.

        `lm_head.weight` is there even where it is tied to the embedding. Under FSDP2 every rank must go through all.
        """
        dtype = getattr(torch, self.config.compute_dtype)
        for name, weight in lora.whole_weights(self.model):
            yield name, full_tensor(weight).to(dtype)
        if self.model.config.tie_word_embeddings:
            head: Any = self.model.get_output_embeddings()
            yield "lm_head.weight", full_tensor(head.weight.detach()).to(dtype)  # [vocabulary, width]

    def save(self, path: Path, write: bool = True) -> None:
        """Writes model and tokenizer as `from_pretrained` reads them, fp32; of LoRA, the adapters.

        Under FSDP2 every rank calls this, and only the one told to `write` does.
        """
        state = (
            {name: full_tensor(p.detach()).cpu() for name, p in self.model.state_dict().items()}
            if self.sharded
            else None
        )
        if write:
            options: Any = {"save_embedding_layers": False} if isinstance(self.model, PeftModel) else {}
            self.model.save_pretrained(path, state_dict=state, **options)
            self.tokenizer.save_pretrained(path)


class _Scorer(nn.Module):
    """Log-probs as one module's forward, which is where FSDP2 gathers and frees the weights."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, prompt: Tensor, completions: Tensor, mask: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        """`prompt` [prompt]; the rest and the result as `Policy.logprobs`."""
        states = hidden_states(self.model, prompt, completions)  # [rows, tokens, width]
        if torch.is_autocast_enabled(device := states.device.type):  # which the head's own backward does not see
            states = states.to(torch.get_autocast_dtype(device))  # [rows, tokens, width]
        head = self.model.get_output_embeddings()
        logp, entropy = token_logprobs(states[mask], head.weight, completions[mask], temperature)  # [loss tokens]
        place = mask.nonzero(as_tuple=True)
        shape = completions.shape
        return (
            logp.new_zeros(shape).index_put(place, logp),  # [rows, tokens]
            entropy.new_zeros(shape).index_put(place, entropy),  # [rows, tokens]
        )


def _pretrained(source: str, dtype: torch.dtype) -> Any:
    return AutoModelForCausalLM.from_pretrained(source, dtype=dtype)


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")

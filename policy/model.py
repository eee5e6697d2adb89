"""The policy: a causal language model, its tokenizer and its chat, and the log-probs it gives to completions."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from peft import PeftModel
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from transformers import AutoTokenizer, PreTrainedModel
from transformers.core_model_loading import revert_weight_conversion
from transformers.utils.logging import disable_progress_bar

from base import checks, hub
from base.errors import ModelError
from languages import Language
from policy import lora, pretrained
from policy.attention import body
from policy.logprob import Gap, gap
from policy.lora import LoraSettings
from policy.ranks import full_tensor, on_host
from policy.scorer import ROUNDING, ROW_BY_ROW, Scorer, position_limit
from policy.settings import ModelSettings
from problems.problem import Problem
from problems.prompt import messages

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}  # model.compute_dtype
TRAINED_DTYPES = ("float32", "bfloat16")  # float16 would need its loss scaled: small gradients are zero in it


@dataclass
class Policy:
    """A model in training (fp32 master weights, or LoRA) or under evaluation, and what turns a problem into tokens."""

    model: PreTrainedModel
    tokenizer: Any
    config: ModelSettings
    source: str  # folder or hub id of the weights without adapters
    outline: bool = False  # the model is its configuration only, without weights
    sharded: bool = False  # over the ranks, by FSDP2

    def __post_init__(self) -> None:
        self.scorer = Scorer(self.model, ROW_BY_ROW if self.outline else None)
        self.reference: Scorer | None = None
        self.generation_config = self.model.generation_config  # the model's is another one while it samples

    @classmethod
    def load(
        cls,
        config: ModelSettings,
        checkpoint: Path | None = None,
        adapters: LoraSettings | None = None,
        weights: bool = True,
    ) -> Policy:
        """Loads the model of `config`, with the weights of `checkpoint` instead of its own if there is one.

        `adapters`: the key `lora`; with a rank above 0 the model's own weights are frozen and LoRA is trained. A
        checkpoint of LoRA needs no such key. `weights=False` loads none where they are not to be merged: enough where
        another engine samples and nobody trains. Raises ModelError when the weights are not to be had, or when the
        model cannot be used as it is: by its dtype, without an end token or (in training) a chat template, or with
        weights that are quantized already.
        """
        dtypes = tuple(DTYPES) if adapters is None else TRAINED_DTYPES
        checks.one_of("model.compute_dtype", config.compute_dtype, dtypes)
        trained = lora.saved_in(checkpoint)
        source = str(checkpoint) if checkpoint and not trained else pretrained.folder(config)
        frozen = trained or (adapters is not None and adapters.rank > 0)
        if checkpoint is not None and frozen and not trained:
            raise ModelError(
                f"{checkpoint} holds whole weights, which a checkpoint of adapters (lora.rank) would not keep; name it "
                f"as the model instead: model.path={checkpoint}"
            )
        disable_progress_bar()  # a bar for each load and save would bury what the run itself shows
        try:
            if not Path(source).is_dir():
                hub.settle()
            if adapters is not None:
                pretrained.check_trainable(source)
            tokenizer = AutoTokenizer.from_pretrained(source)
            dtype = getattr(torch, config.compute_dtype) if frozen else torch.float32
            quantized = adapters.quantize is not None if adapters else False
            outline = not weights and not trained
            model: Any = pretrained.outlined(source) if outline else pretrained.load(source, dtype, quantized)
            if checkpoint is not None and trained:
                model = lora.load(model, checkpoint)
        except pretrained.FAULTS as error:
            raise pretrained.unloadable(source, error) from error
        if adapters is not None and frozen and not trained:
            model = lora.attach(model, adapters)
        if config.gradient_checkpointing:
            try:
                model.gradient_checkpointing_enable({"use_reentrant": False})
            except ValueError as error:
                kind = type(lora.base(model)).__name__
                raise ModelError(f"model.gradient_checkpointing: {kind} has none; set it to false") from error
        if not outline and not quantized:
            model = model.to(pretrained.device())
        policy = cls(model, tokenizer, config, source, outline)
        if not policy.eos:
            raise ModelError(
                f"model.path: {source!r} has no end token, in its generation config or its tokenizer, so that no "
                "completion would end; set eos_token_id in its generation_config.json"
            )
        if adapters is not None:
            policy.check_template()
            if (spare := policy.vocabulary - len(tokenizer)) > 0:
                _say(
                    config,
                    f"the vocabulary has {spare} entries that the tokenizer has no text for; they read as nothing",
                )
        return policy

    def keep_reference(self) -> None:
        """Keeps the weights without any training, for the KL term; with LoRA they are there anyway."""
        if not isinstance(self.model, PeftModel):
            model: Any = pretrained.load(pretrained.folder(self.config), getattr(torch, self.config.compute_dtype))
            self.reference = Scorer(model.to(pretrained.device()).requires_grad_(False).eval(), self.scorer.layout)

    def shard(self, group: Any = None) -> None:
        """Spreads weights, and so gradients and moments, over the ranks of torch's `group` (None: all) by FSDP2: each
        holds a part of every layer."""
        if self.scorer.layout.side_by_side == 0:
            raise ModelError(f"shard=true cannot be used here: {self.scorer.layout.why}, and ranks would not keep step")
        if group is None:
            mesh = init_device_mesh(self.device.type, (torch.distributed.get_world_size(),))
        else:
            mesh = DeviceMesh.from_group(group, self.device.type)
        precision = MixedPrecisionPolicy(getattr(torch, self.config.compute_dtype), torch.float32)
        for layer in layers(self.model):
            fully_shard(layer, mesh=mesh, mp_policy=precision)
        fully_shard(self.scorer, mesh=mesh, mp_policy=precision)  # embedding, last norm, head
        self.sharded = True

    def check_length(self, tokens: int) -> None:
        """Raises ModelError when sequences of so many tokens cannot be trained on.

        What is slower here than it could be, or left out, is said on stderr by the first rank.
        """
        self.check_positions(tokens)
        layout, config = self.scorer.layout, self.model.config.get_text_config()
        if 0 < layout.side_by_side < tokens:
            raise ModelError(
                f"model.path: {self.source!r} changes all positions (rope_scaling) once a sequence is longer than "
                f"{layout.side_by_side:.0f} tokens, so that what was sampled before would be scored otherwise; "
                f"rollout.max_prompt_tokens + rollout.max_new_tokens is {tokens}: set both so that it is at most "
                f"{layout.side_by_side:.0f}"
            )
        if layout.shared < tokens:
            which = f"sequences of more than {layout.shared:.0f} tokens are" if layout.shared else "every completion is"
            _say(self.config, f"{layout.why}; {which} computed with a prompt of its own, which is slower")
        if getattr(config, "router_aux_loss_coef", None):
            _say(self.config, "the routers' auxiliary loss is left out: experts are chosen by what the reward teaches")

    def check_positions(self, tokens: int) -> None:
        """Raises ModelError when the model cannot write sequences of so many tokens, prompt and completion."""
        if tokens > (most := position_limit(self.model)):
            raise ModelError(
                f"model.path: {self.source!r} has positions for {most:.0f} tokens; rollout.max_prompt_tokens + "
                f"rollout.max_new_tokens is {tokens}: set both so that it is at most {most:.0f}"
            )

    def shares_prompt(self, tokens: int) -> bool:
        """Whether rows of up to so many tokens, prompt and completion, go through the model behind one prompt.

        If not, each has a prompt of its own, which counts towards the tokens of a micro-batch.
        """
        return tokens <= self.scorer.layout.shared

    @torch.no_grad()
    def self_check(
        self, prompts: Sequence[Sequence[int]], completions: Tensor, mask: Tensor, temperature: float
    ) -> Gap:
        """How far the log-probs of a batch are from the model's own forward pass, row by row, full logits and all.

        Arguments as for `logprobs`. Where a shared prompt is at fault, it is given up for good. Raises ModelError where
        the model's architecture is not scored right in any layout. Under FSDP2 every rank must ask, with as many rows.
        """
        ids, counts = self._grouped(prompts, len(completions))
        bound = ROUNDING[DTYPES[self.config.compute_dtype]]
        layout = self.scorer.layout
        with self.autocast(keep_casts=False):
            own, _ = self.scorer(ids, counts, completions, mask, temperature, ROW_BY_ROW)  # [rows, tokens]
            for choice in dict.fromkeys(
                (layout, replace(layout, shared=0), replace(ROW_BY_ROW, side_by_side=layout.side_by_side))
            ):
                seen, _ = self.scorer(ids, counts, completions, mask, temperature, choice)  # [rows, tokens]
                if (found := gap(seen, own, mask)).mean <= bound:
                    self.scorer.layout = choice
                    if self.reference:
                        self.reference.layout = choice
                    if isinstance(self.scorer, FSDPModule):
                        # A backward pass would have: until then `parameters()` gives gathered ones, without gradient.
                        self.scorer.reshard()
                    return found
        raise ModelError(
            f"model.path: log-probs of {type(lora.base(self.model)).__name__} differ from those of its own forward "
            f"pass ({found}), so that this architecture cannot be trained here"
        )

    @property
    def device(self) -> torch.device:
        return pretrained.device() if self.outline else self.model.device

    @property
    def eos(self) -> list[int]:
        """Ids of the tokens that end a completion: of the model's generation config and of the tokenizer, together.

        A fine-tuned chat model may know the end of a turn in one of them only.
        """
        model, tokenizer = self.model.generation_config.eos_token_id, self.tokenizer.eos_token_id
        ends = [*(model if isinstance(model, list) else [model]), tokenizer]
        return [end for end in dict.fromkeys(ends) if end is not None and 0 <= end < self.vocabulary]

    @property
    def vocabulary(self) -> int:
        """Entries of the model's vocabulary, which may be more than the tokenizer's."""
        embedding: Any = self.model.get_input_embeddings()
        return len(embedding.weight)

    @property
    def pad(self) -> int:
        """The id that fills rows up: an end, where the tokenizer has none that the model knows ([PAD] is often added to
        a tokenizer alone)."""
        pad = self.tokenizer.pad_token_id
        return int(pad if pad is not None and 0 <= pad < self.vocabulary else self.eos[0])

    def trainable(self) -> list[nn.Parameter]:
        """What the optimizer changes."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def chat(self, problem: Problem, language: Language) -> str:
        """The prompt as text: the chat template over the problem's message, reasoning off."""
        return self.template(messages(problem, language, self.config.system))

    def template(self, chat: list[dict[str, str]]) -> str:
        """A chat as text, by the model's template and its switches, ready for the model's turn."""
        kwargs: dict[str, Any] = dict(self.config.chat_template_kwargs)
        self.check_template()
        try:
            text = self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True, **kwargs)
        except TemplateError as error:
            raise ModelError(f"model.path: the chat template of {self.source!r} refuses a chat ({error})") from error
        return str(text)

    def check_template(self) -> None:
        """Raises ModelError for a model that has no chat template."""
        if not self.tokenizer.chat_template:
            raise ModelError(
                f"model.path: {self.source!r} has no chat template (a base model?); take one that was trained to chat, "
                "or put a chat_template.jinja beside its tokenizer"
            )

    def encode(self, prompt: str) -> list[int]:
        """Token ids of a chat prompt, which holds its special tokens already."""
        ids = list(self.tokenizer(prompt, add_special_tokens=False)["input_ids"])
        if max(ids, default=0) >= self.vocabulary:
            raise ModelError(
                f"model.path: the tokenizer of {self.source!r} makes token {max(ids)}, and the model knows "
                f"{self.vocabulary} only: they do not belong together"
            )
        return ids

    def decode(self, tokens: Sequence[int], special: bool = False) -> str:
        """The text of sampled tokens, special ones left out unless asked for; an id without a text reads as nothing."""
        size = len(self.tokenizer)
        known = [token for token in tokens if token < size]
        return str(self.tokenizer.decode(known, skip_special_tokens=not special))

    def autocast(self, keep_casts: bool = True) -> torch.autocast:
        """Compute in `model.compute_dtype` over fp32 master weights (small AdamW steps vanish in bf16 weights).

        `keep_casts`: sampling uses each weight again and again; a pass of the trainer uses it once.
        """
        dtype = getattr(torch, self.config.compute_dtype)
        enabled = dtype != torch.float32
        return torch.autocast(self.device.type, dtype=dtype, enabled=enabled, cache_enabled=keep_casts)

    def logprobs(
        self, prompts: Sequence[int] | Sequence[Sequence[int]], completions: Tensor, mask: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        """Log-probs of completions, and entropies, both [rows, tokens] in nats; 0 where masked.

        `prompts` has that of each row, or is the one of all; `completions` [rows, tokens] right-padded, `mask` [rows,
        tokens] True for real tokens, at least one per row. A prompt that rows after one another share is computed once
        (`policy.attention`): with a group of short completions that is most of the work saved.
        """
        ids, counts = self._grouped(prompts, len(completions))
        with self.autocast(keep_casts=False):
            logp, entropy = self.scorer(ids, counts, completions, mask, temperature)  # 2 x [rows, tokens]
        return logp, entropy

    @torch.no_grad()
    def reference_logprobs(
        self, prompts: Sequence[int] | Sequence[Sequence[int]], completions: Tensor, mask: Tensor, temperature: float
    ) -> Tensor:
        """Log-probs [rows, tokens] by the weights that training began with; arguments as for `logprobs`."""
        ids, counts = self._grouped(prompts, len(completions))
        scorer: Any = self.reference or self.scorer
        model: Any = self.model
        with self.autocast(keep_casts=False), nullcontext() if self.reference else model.disable_adapter():
            logp, _ = scorer(ids, counts, completions, mask, temperature)  # [rows, tokens]
        return logp

    def _grouped(self, prompts: Sequence[Any], rows: int) -> tuple[list[Tensor], list[int]]:
        """Each prompt once, [its tokens], and how many of the `rows` after one another have it."""
        if isinstance(prompts[0], int):
            return [torch.tensor(prompts, device=self.device)], [rows]
        runs = [(prompt, len(list(same))) for prompt, same in groupby(prompts)]
        return [torch.tensor(prompt, device=self.device) for prompt, _ in runs], [count for _, count in runs]

    @torch.no_grad()
    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """All that a checkpoint holds, whole, by the names that it has there: weights in the compute dtype, adapters
        merged, and buffers as they are.

        `lm_head.weight` is there even where it is tied to the embedding. Under FSDP2 every rank must go through all.
        """
        dtype = getattr(torch, self.config.compute_dtype)
        base = lora.base(self.model)
        embedding: Any = self.model.get_input_embeddings()
        tied, head = None, None
        if self.model.config.tie_word_embeddings:
            parameters = base.named_parameters()
            tied = next(name.replace(".base_layer.", ".") for name, p in parameters if p is embedding.weight)
        for name, weight in lora.whole_weights(self.model):
            whole = full_tensor(weight.to(dtype))  # in the smaller type before ranks send it to each other
            if name == tied:
                head = whole  # [vocabulary, width]
            # transformers fuses some weights at load, the experts of a mixture above all
            yield from revert_weight_conversion(base, {name: whole}).items()
        # a router's bias is a parameter to vLLM, which forgets all of them while it sleeps
        for name, buffer in lora.buffers(self.model):
            yield from revert_weight_conversion(base, {name: buffer}).items()
        if head is not None:
            yield "lm_head.weight", head

    def snapshot(self, keep: bool = True) -> dict[str, Tensor]:
        """Copies of what a checkpoint of this model holds, in host memory: of LoRA, the adapters.

        Under FSDP2 every rank calls this, and those not told to `keep` copies are given none. A weight that has two
        names is copied once.
        """
        adapters = isinstance(self.model, PeftModel)
        copies: dict[int, Tensor | None] = {}
        found = {}
        for name, tensor in self._saved():
            if adapters and not tensor.requires_grad:
                continue
            if id(tensor) not in copies and (keep or self.sharded):
                copies[id(tensor)] = on_host(tensor, keep)
            if (copy := copies.get(id(tensor))) is not None:
                found[name] = copy
        return found

    def _saved(self) -> Iterator[tuple[str, Tensor]]:
        yield from self.model.named_parameters(remove_duplicate=False)
        if not isinstance(self.model, PeftModel):  # adapters have none
            yield from lora.buffers(self.model)

    def save(self, path: Path, weights: dict[str, Tensor] | None = None) -> None:
        """Writes `weights` (of `snapshot`; None: the present ones) and the tokenizer as `from_pretrained` reads them,
        fp32; of LoRA, the adapters. Other threads may train meanwhile."""
        adapters = isinstance(self.model, PeftModel)
        options: Any = {"save_embedding_layers": False} if adapters else {}
        self.model.save_pretrained(path, state_dict=self.snapshot() if weights is None else weights, **options)
        if not adapters:
            self.generation_config.save_pretrained(path)
        self.tokenizer.save_pretrained(path)


def layers(model: PreTrainedModel) -> Any:
    """The model's layers, by whatever name: the longest list of modules outside any other; empty where it has none."""
    lists = {name: module for name, module in body(model).named_modules() if isinstance(module, nn.ModuleList)}
    outside = [module for name, module in lists.items() if not any(name.startswith(f"{other}.") for other in lists)]
    return max(outside, key=len, default=nn.ModuleList())


def _say(config: ModelSettings, note: str) -> None:
    if os.environ.get("RANK", "0") == "0":  # the other ranks would say the same
        print(f"model={config.name}: {note}", file=sys.stderr)

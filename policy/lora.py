"""LoRA: small trained matrices beside frozen weights, by peft; and the whole weights that a sampler needs.

The base is never written to: merging happens out of place, in fp32, so that it is bit for bit the same after any
number of weight syncs (merging and unmerging in bf16 drifts). Adapters are fp32; the frozen base is kept in the compute
dtype, which is half of the memory of full fine-tuning's fp32 master weights, before gradients and moments.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any, Literal

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from pydantic import model_validator
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from base.errors import ConfigError
from base.settings import Positive, Settings, Whole


class LoraSettings(Settings):
    """The key `lora` of a training config."""

    rank: Whole  # 0: full fine-tuning
    alpha: Positive
    targets: str | list[str]  # all-linear, or names of modules
    quantize: Literal["nf4"] | None = None  # the model's own weights in 4 bits (QLoRA)

    @model_validator(mode="after")
    def _only_frozen_weights(self) -> LoraSettings:
        if self.quantize and not self.rank:
            raise ValueError("lora.quantize needs lora.rank above 0: weights of 4 bits cannot be trained themselves")
        return self


ADAPTER = "default"  # peft's name for an only adapter
FILE = "adapter_config.json"  # what a folder of adapters has


def base(model: PreTrainedModel) -> Any:
    """The model without its adapters' wrapping."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


def head(model: PreTrainedModel) -> tuple[Tensor, Tensor | None]:
    """Matrix [vocabulary, width] and bias [vocabulary] of the language-model head, with its adapter if it has one."""
    module: Any = model.get_output_embeddings()
    if not isinstance(module, LoraLayer):
        return module.weight, getattr(module, "bias", None)
    plain: Any = module.get_base_layer()
    weight = plain.weight  # [vocabulary, width]
    if not module.disable_adapters:
        down: Any = module.lora_A[ADAPTER]  # weight [rank, width]
        up: Any = module.lora_B[ADAPTER]  # weight [vocabulary, rank]
        product = up.weight @ down.weight  # [vocabulary, width]
        weight = weight + module.scaling[ADAPTER] * product  # [vocabulary, width]
    return weight, plain.bias


def attach(model: PreTrainedModel, config: LoraSettings) -> PreTrainedModel:
    """`model` with new adapters that change nothing yet. `config` is the key `lora`: rank, alpha, targets.

    Raises ConfigError for targets that the model does not have, or whose adapters could not be merged.
    """
    targets: Any = config.targets if isinstance(config.targets, str) else list(config.targets)
    if targets != "all-linear":
        _check(model, targets)
    alpha: Any = config.alpha  # peft says int and takes any number
    settings = LoraConfig(r=config.rank, lora_alpha=alpha, target_modules=targets, task_type="CAUSAL_LM")
    with torch.random.fork_rng():
        torch.manual_seed(0)  # the same adapters in every run and on every rank
        try:
            return _uncast(get_peft_model(model, settings))
        except (ValueError, TypeError) as error:  # a kind of layer that peft has no adapter for
            raise ConfigError(f"lora.targets is {targets!r}: {' '.join(str(error).split())[:300]}") from error


def _check(model: PreTrainedModel, targets: str | list[str]) -> None:
    """`targets` as peft reads them: a list of the ends of modules' names, or a regular expression for whole names."""
    modules = dict(model.named_modules())

    def named(target: str) -> set[str]:
        return {name for name in modules if name == target or name.endswith(f".{target}")}

    if isinstance(targets, str):
        try:
            found = {name for name in modules if re.fullmatch(targets, name)}
        except re.error as error:
            raise ConfigError(f"lora.targets is {targets!r}, which is no regular expression ({error})") from error
        missing = [] if found else [targets]
    else:
        found = set().union(*map(named, targets))
        missing = [target for target in targets if not named(target)]
    if missing or not targets:
        there = dict.fromkeys(
            name.rpartition(".")[2] for name, module in modules.items() if isinstance(module, nn.Linear | Conv1D)
        )
        raise ConfigError(
            f"lora.targets is {targets!r}, but the model has no module {', '.join(missing)}; its linear layers are "
            f"{', '.join(there)}; all-linear takes them all"
        )
    embedding, output = model.get_input_embeddings(), model.get_output_embeddings()
    adapted = any(modules[name] in (embedding, output) for name in found)
    if adapted and output is not None and embedding.weight is output.weight:
        raise ConfigError(
            f"lora.targets is {targets!r}, but this model's embedding and head are one matrix, of which an adapter "
            "would change one use only; leave it out"
        )


def load(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """`model` with the adapters of a checkpoint, to be trained on."""
    return _uncast(PeftModel.from_pretrained(model, folder, is_trainable=True))


def _uncast(model: PeftModel) -> Any:
    for module in model.modules():
        if isinstance(module, LoraLayer):
            module.cast_input_dtype_enabled = False  # autocast does it; peft would first make every input fp32
    return model


def saved_in(folder: Path | None) -> bool:
    """Whether a checkpoint holds adapters rather than whole weights."""
    return folder is not None and (folder / FILE).is_file()


def dequantized(weight: Tensor) -> Tensor:
    """A frozen weight [out, in] as numbers, where it is kept in 4 bits; any other as it is, without gradient."""
    if (state := getattr(weight, "quant_state", None)) is None:
        return weight.detach()
    from bitsandbytes.functional import _convert_weight_packed_for_cpu_inverse, dequantize_4bit

    packed = weight.data
    if getattr(state, "packing_format_for_cpu", False):  # as a forward pass on a CPU leaves them
        packed, state = _convert_weight_packed_for_cpu_inverse(packed, copy(state))
    numbers: Tensor = dequantize_4bit(packed, state)  # [out, in]
    return numbers


def numbers(weight: Tensor) -> int:
    """How many a weight holds: two to a byte, where it is kept in 4 bits."""
    state = getattr(weight, "quant_state", None)
    return weight.numel() if state is None else math.prod(state.shape)


def buffers(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """What a checkpoint of the base model holds besides parameters: never trained (the bias by which routers choose).

    Not by way of `state_dict`, for which weights of 4 bits would be laid out anew.
    """
    for place, module in base(model).named_modules():
        for name, buffer in module.named_buffers(place, recurse=False):
            if name.rpartition(".")[2] not in module._non_persistent_buffers_set:
                yield name, buffer


def whole_weights(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """Every parameter under the name it has in a checkpoint of the base model, adapters merged in; without gradient."""
    if not isinstance(model, PeftModel):
        yield from ((name, parameter.detach()) for name, parameter in model.named_parameters())
        return
    base = model.get_base_model()
    for name, parameter in base.named_parameters():
        if ".lora_" in name:
            continue
        owner, _, kind = name.rpartition(".base_layer.")
        if owner and kind == "weight":
            delta = base.get_submodule(owner).get_delta_weight(ADAPTER).detach()  # [out, in] fp32
            weight = dequantized(parameter).float() + delta  # [out, in]
        else:
            weight = dequantized(parameter)
        yield name.replace(".base_layer.", "."), weight

"""LoRA: small trained matrices beside frozen weights, by peft; and the whole weights that a sampler needs.

The base is never written to: merging happens out of place, in fp32, so that it is bit for bit the same after any
number of weight syncs (merging and unmerging in bf16 drifts). Adapters are fp32; the frozen base is kept in the compute
dtype, which is half of the memory of full fine-tuning's fp32 master weights, before gradients and moments.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import Tensor
from transformers import PreTrainedModel

from base.settings import Positive, Settings, Whole

class LoraSettings(Settings):
    """The key `lora` of a training config."""

    rank: Whole  # 0: full fine-tuning
    alpha: Positive
    targets: str | list[str]  # all-linear, or names of modules


ADAPTER = "default"  # peft's name for an only adapter
FILE = "adapter_config.json"  # what a folder of adapters has


def attach(model: PreTrainedModel, config: LoraSettings) -> PreTrainedModel:
    """`model` with new adapters that change nothing yet. `config` is the key `lora`: rank, alpha, targets."""
    targets: Any = config.targets if isinstance(config.targets, str) else list(config.targets)
    settings = LoraConfig(r=config.rank, lora_alpha=config.alpha, target_modules=targets, task_type="CAUSAL_LM")
    with torch.random.fork_rng():
        torch.manual_seed(0)  # the same adapters in every run and on every rank
        return _uncast(get_peft_model(model, settings))


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


def whole_weights(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """Every weight under the name it has in a checkpoint of the base model, adapters merged in; without gradient."""
    if not isinstance(model, PeftModel):
        yield from ((name, parameter.detach()) for name, parameter in model.named_parameters())
        return
    base = model.get_base_model()
    for name, parameter in base.named_parameters():
        weight = parameter.detach()
        if ".lora_" in name:
            continue
        owner, _, kind = name.rpartition(".base_layer.")
        if owner and kind == "weight":
            delta = base.get_submodule(owner).get_delta_weight(ADAPTER).detach()  # fp32, the shape of weight
            weight = weight.float() + delta
        yield name.replace(".base_layer.", "."), weight

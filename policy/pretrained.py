"""Weights that were trained before: where a model's are, its outline without them, and the weights on this device."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig, GenerationConfig, PreTrainedModel
from transformers.utils import cached_file

from base import hub
from base.errors import ModelError
from base.functions import load_function
from policy.settings import ModelSettings

FAULTS = (OSError, ValueError, KeyError, ImportError, RuntimeError)  # of loading what is no model, or none for here


def folder(config: ModelSettings) -> str:
    """Where the weights are: `model.path` (a folder or a hub id), or the folder that `model.build` makes.

    `model.build` names a module of ours whose `ensure()` builds the model if needed (one of policy/builtin).
    """
    if config.path:
        return str(config.path)
    return str(load_function("model.build", f"{config.build}:ensure")())


def fingerprint(config: ModelSettings) -> dict[str, str]:
    """What tells the model of `config` from others that had its name or path before: the files of a folder, the commit
    that a hub id stands for now, or the name of the folder that `model.build` makes, which changes with what goes into
    it. Raises ModelError where it is not to be had."""
    source = folder(config)
    if not config.path:
        return {"built": Path(source).name}
    if Path(source).is_dir():
        return files(Path(source))
    try:
        hub.settle()
        found = cached_file(source, "config.json")  # as from_pretrained finds it: its folder is the commit's
    except FAULTS as error:
        raise unloadable(source, error) from error
    return {"commit": Path(str(found)).parent.name}


def files(folder: Path) -> dict[str, str]:
    """Size and time of each file of a local model: weights, and all that says how they are used. A page about it says
    nothing to the model."""
    found = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix != ".md")
    return {path.name: f"{path.stat().st_size} bytes, {path.stat().st_mtime_ns} ns" for path in found}


def outlined(source: str) -> PreTrainedModel:
    """The model's configuration and nothing that takes memory. Raises ModelError where it is not to be had."""
    try:
        if not Path(source).is_dir():
            hub.settle()
        config = AutoConfig.from_pretrained(source)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except FAULTS as error:
        raise unloadable(source, error) from error
    with contextlib.suppress(OSError):  # a model without a generation config has its ends in the tokenizer
        model.generation_config = GenerationConfig.from_pretrained(source)
    return model


def check_trainable(source: str) -> None:
    """Raises ModelError for weights that are kept rounded (AWQ, GPTQ, FP8, 4 bits of bitsandbytes)."""
    found: Any = getattr(AutoConfig.from_pretrained(source), "quantization_config", None)
    if found:
        kind = found.get("quant_method", "unknown") if isinstance(found, dict) else found.quant_method
        raise ModelError(
            f"model.path: the weights of {source!r} are quantized already ({kind}) and can be evaluated but not "
            "trained; name the model that they were made from, with lora.quantize=nf4 where memory is short"
        )


def load(source: str, dtype: torch.dtype, quantized: bool = False) -> Any:
    """Tensor by tensor from the file to the device: no rank holds the whole model in host memory."""
    config = AutoConfig.from_pretrained(source)
    options: dict[str, Any] = {"device_map": {"": device()}} if device().type == "cuda" or quantized else {}
    if quantized:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
        )
    # torch's attention leaves a soft cap of attention scores out, and says nothing
    capped = getattr(config.get_text_config(), "attn_logit_softcapping", None)
    attention = "eager" if capped else None
    return AutoModelForCausalLM.from_pretrained(source, dtype=dtype, attn_implementation=attention, **options)


def unloadable(source: str, error: Exception) -> ModelError:
    """Why the weights of `source` are not to be had."""
    if not Path(source).is_dir() and hub.trouble():
        return ModelError(
            f"model.path: {source!r} is no folder and not in the hub's cache, and no hub answers at {hub.endpoint()}; "
            "give model.path a folder, or choose a model that needs no hub: tiny, smollm2_135m, qwen_coder_1.5b"
        )
    return ModelError(f"model.path: cannot load {source!r} ({' '.join(str(error).split())[:300]})")


def device() -> torch.device:
    """This rank's GPU, by its number: transformers loads in threads, to which a bare "cuda" is the first GPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")

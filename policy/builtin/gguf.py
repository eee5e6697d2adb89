"""A GGUF file turned into an ordinary folder of weights, once.

transformers reads the format, but a model loaded from it cannot be saved again as it is; so its weights are moved into
a plain model of the same configuration.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def convert(source: Path, file: str, folder: Path, dtype: torch.dtype, ends: list[str]) -> None:
    """Writes the model of `source`/`file`, its weights in `dtype`, and its tokenizer into `folder`.

    `ends`: the tokens that end a completion; the last of them is also the padding.
    """
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=file)
    loaded = AutoModelForCausalLM.from_pretrained(source, gguf_file=file, dtype=dtype)
    config = loaded.config
    for key in ("quantization_config", "_name_or_path"):
        if hasattr(config, key):
            delattr(config, key)
    with torch.device("meta"):
        plain = type(loaded)(config)
    plain.load_state_dict(loaded.state_dict(), assign=True)  # no second copy in memory
    plain.tie_weights()
    ids = [tokenizer.convert_tokens_to_ids(token) for token in ends]
    plain.generation_config.eos_token_id = ids if len(ids) > 1 else ids[0]
    plain.generation_config.pad_token_id = ids[-1]
    plain.save_pretrained(folder)
    tokenizer.save_pretrained(folder)

"""Models of a real one's shape with random weights, and a tokenizer of bytes stretched to the vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

SHAPES: dict[str, dict[str, int]] = {
    "qwen3_4b": {
        "vocab_size": 151_936,
        "hidden_size": 2560,
        "intermediate_size": 9728,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
    },
    "toy": {
        "vocab_size": 2_000,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
    },
}


def save(shape: str, folder: Path) -> None:
    """Random weights of a shape, with a tokenizer of bytes: nothing is downloaded or trained."""
    words = ["<pad>", "<eos>", *sorted(ByteLevel.alphabet())]
    words += [f"<{number}>" for number in range(len(words), SHAPES[shape]["vocab_size"])]
    bytes_only = Tokenizer(BPE({word: number for number, word in enumerate(words)}, []))
    bytes_only.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    bytes_only.decoder = ByteLevelDecoder()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bytes_only, pad_token="<pad>", eos_token="<eos>")
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}\n{% endfor %}"
    special: dict[str, Any] = {"eos_token_id": 1, "pad_token_id": 0, "bos_token_id": None}
    size: dict[str, Any] = SHAPES[shape]
    config = Qwen3Config(**size, **special, max_position_embeddings=4096, tie_word_embeddings=True)
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model: Any = Qwen3ForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=1, pad_token_id=0)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)

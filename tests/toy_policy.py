"""A real policy of toy size: random weights, a word-level tokenizer, a chat template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from policy.settings import ModelSettings

VOCABULARY = 300


def save_toy(folder: Path) -> None:
    """A `save_pretrained` folder: a byte-level tokenizer without merges, a Qwen3 of two layers."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<pad>", "<eos>", *alphabet]
    bpe = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, []))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bpe.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token="<pad>", eos_token="<eos>")
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}\n{% endfor %}"
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=VOCABULARY,
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=32,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            initializer_range=0.2,  # so that completions differ and some end early
            pad_token_id=0,
            eos_token_id=1,
            bos_token_id=None,
            dtype="float32",
        )
    )
    model.generation_config = GenerationConfig(eos_token_id=1, pad_token_id=0)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def toy_model(path: object, **changes: Any) -> ModelSettings:
    """The config group `model` for a model at `path`."""
    group: dict[str, Any] = {
        "name": "toy",
        "build": None,
        "path": str(path),
        "system": None,
        "chat_template_kwargs": {},
    }
    group |= {"learning_rate": None, "temperature": 1.0, "max_new_tokens": 96}
    group |= {"compute_dtype": "float32", "gradient_checkpointing": False}
    return ModelSettings.read(group | changes)

"""Models of every causal architecture in transformers, of toy size, with random weights in float64."""

from __future__ import annotations

from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedModel

# Whatever of this a configuration knows is set. Most of it is size; weights are large, so that every part shows.
SHAPE: dict[str, Any] = {
    **dict.fromkeys(("vocab_size", "vocab_size_per_layer_input"), 97),
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "lru_width", "dim_model_base", "word_embed_proj_dim"), 32),
    **dict.fromkeys(("intermediate_size", "n_inner", "ffn_dim"), 48),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), 4),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads"), 2),
    **dict.fromkeys(("head_dim", "rotary_dim", "hidden_size_per_layer_input"), 8),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len"), 128),
    **dict.fromkeys(("initializer_range", "init_std"), 0.2),
    "sliding_window": 64,
    # mixtures of experts
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 16),
    **dict.fromkeys(("moe_shared_expert_intermediate_size", "shared_intermediate_size"), 16),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_k"), 2),
    **dict.fromkeys(("n_shared_experts", "n_group", "topk_group", "first_k_dense_replace"), 1),
    # latent attention
    **dict.fromkeys(("kv_lora_rank", "q_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim"), 8),
    "index_topk": 16,
    "index_n_heads": 2,
    "index_head_dim": 8,
    # state spaces and linear attention
    **dict.fromkeys(("linear_num_value_heads", "time_step_rank", "mamba_dt_rank"), 4),
    **dict.fromkeys(("linear_num_key_heads", "mamba_n_groups", "mamba_ngroups", "n_groups", "n_mamba_heads"), 2),
    **dict.fromkeys(("mamba_expand", "expand"), 2),
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim", "mamba_d_state", "mamba_n_heads"), 8),
    **dict.fromkeys(("mamba_d_head", "mamba_chunk_size", "chunk_size", "state_size", "num_heads"), 8),
    **dict.fromkeys(("mamba_num_heads", "mamba_head_dim", "mamba_headdim", "ssm_state_size"), 8),
    "mamba_d_ssm": 64,
    # the things that a head does
    "lm_head_multiplier": 0.4,
    "logit_scale": 0.3,
    "logits_scaling": 4.0,
    "logits_mup_width_multiplier": 2.0,
    "final_logit_softcapping": 5.0,
    "logits_soft_cap": 5.0,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LINEAR = {"layer_types": ["linear_attention", "full_attention"] * 2}
WINDOWS = {"layer_types": ["sliding_attention", "full_attention"] * 2}
VISION = {"num_hidden_layers": 1, "hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 1, "image_size": 32}
OWN: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1, 3]},
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "clip_qkv": 8.0, "rope_theta": 1e4},
        "ffn_config": {"ffn_hidden_size": 32, "moe_num_experts": 4, "moe_top_k": 2, "hidden_size": 32},
    },
    "deepseek_v2": {"topk_method": "greedy", "num_key_value_heads": 4},
    "gemma3n_text": {"laurel_rank": 4, "num_kv_shared_layers": 0, "activation_sparsity_pattern": [0.0] * 4, **WINDOWS},
    "gemma4_text": {"head_dim": 8, "global_head_dim": 8, "num_kv_shared_layers": 0, **WINDOWS},
    "gemma3": {"vision_config": VISION},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"] * 2},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2},
    "kimi_linear": {
        **LINEAR,
        "mlp_layer_types": ["dense", "sparse"] * 2,
        "num_key_value_heads": 4,
        "num_experts_per_token": 2,
        "linear_head_dim": 8,
        "linear_num_heads": 4,
    },
    "lfm2": {"layer_types": ["conv", "full_attention"] * 2},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2, "num_dense_layers": 1},
    "llama4_text": {"intermediate_size_mlp": 48},
    "longcat_flash": {
        "num_layers": 2,
        "num_key_value_heads": 4,
        "head_dim": 8,
        "ffn_hidden_size": 48,
        "expert_ffn_hidden_size": 16,
        "moe_topk": 2,
        "zero_expert_num": 2,
    },
    "minimax": LINEAR,
    "nemotron_h": {"layers_block_type": ["mamba", "attention", "moe", "mamba"]},
    "qwen3_5_moe_text": LINEAR,
    "qwen3_5_text": LINEAR,
    "qwen3_next": LINEAR,
    "qwen4_exp_text": {
        "layer_types": ["linear_attention", "indexed_attention"] * 2,
        "hc_lowrank": 8,
        "indexer_n_heads": 2,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 8,
        "indexer_budget": 16,
        "indexer_compress_ratio": 2,
    },
    "recurrent_gemma": {"num_hidden_layers": 3},
    "zamba": {"layers_block_type": ["mamba", "hybrid"] * 2},
    "zamba2": {
        "layers_block_type": ["mamba", "hybrid"] * 2,
        "hybrid_layer_ids": [1, 3],
        "n_mamba_heads": 8,
        "mamba_d_state": 8,
    },
    **{
        kind: {"num_key_value_heads": 4}
        for kind in ("axk1", "deepseek_v3", "deepseek_v32", "glm4_moe_lite", "glm_moe_dsa", "minicpm3", "youtu")
    },
}


def configured(kind: str, **settings: Any) -> Any:
    """The configuration of type `kind` (as config.json calls it); what reads images as well has its text's within."""
    default: Any = CONFIG_MAPPING[kind]()
    knows = default.to_dict()
    own = {**OWN.get(kind, {}), **settings}
    if "text_config" in knows:
        return type(default)(text_config=configured(default.text_config.model_type).to_dict(), **own)
    latent = kind != "deepseek_v2" and "kv_lora_rank" in knows
    known = {key: value for key, value in SHAPE.items() if key in knows and not (key == "head_dim" and latent)}
    return type(default)(**{**known, **own})


def build(kind: str, **settings: Any) -> PreTrainedModel:
    """The model of type `kind`, as a policy is made of it, in training mode."""
    config = configured(kind, **settings)
    config.get_text_config()._experts_implementation = "eager"  # the others know no float64
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for parameter in model.parameters():
                if not parameter.any():  # biases, sinks: zero at first, and not after training
                    parameter.normal_(std=0.3)
    return model.double().train()

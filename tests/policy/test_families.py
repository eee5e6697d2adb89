"""Every causal architecture: log-probs and gradients are those of the model's own logits, row by row."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CLASSES

from base.errors import ModelError
from policy.model import Policy
from policy.settings import RolloutSettings
from rollout.draw import LocalModel
from tests.policy.families import build
from tests.toy_policy import toy_model

PROMPT = [5, 17, 3, 88, 2]
TOKENS = torch.tensor([[7, 9, 11, 0], [1, 2, 3, 4], [50, 0, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1], [1, 0, 0, 0]], dtype=torch.bool)

MANY = torch.arange(45).view(3, 15) + 3  # [rows, tokens]
MANY_MASK = torch.arange(15) < torch.tensor([[15], [4], [12]])  # [rows, tokens]

# Attention alone, over keys and values that rows can share: here the prompt must go through the model once.
SHARED = [
    "afmoe",
    "apertus",
    "arcee",
    "aria_text",
    "axk1",
    "biogpt",
    "bitnet",
    "cohere",
    "cohere2",
    "cohere2_moe",
    "ctrl",
    "cwm",
    "dbrx",
    "deepseek_v2",
    "deepseek_v3",
    "diffllama",
    "dots1",
    "emu3",
    "ernie4_5",
    "ernie4_5_moe",
    "exaone4",
    "exaone_moe",
    "flex_olmo",
    "gemma",
    "gemma3",
    "gemma3_text",
    "gemma3n_text",
    "gemma4",
    "gemma4_text",
    "gemma4_unified",
    "glm",
    "glm4",
    "glm4_moe",
    "glm4_moe_lite",
    "gpt-sw3",
    "gpt2",
    "gpt_bigcode",
    "gpt_neox",
    "granite",
    "granitemoe",
    "granitemoeshared",
    "helium",
    "hrm_text",
    "hunyuan_v1_dense",
    "hunyuan_v1_moe",
    "hy_v3",
    "hyperclovax",
    "jais2",
    "jetmoe",
    "laguna",
    "llama",
    "longcat_flash",
    "mellum",
    "minicpm3",
    "minimax_m2",
    "ministral",
    "ministral3",
    "mistral",
    "mixtral",
    "nanochat",
    "olmo",
    "olmo2",
    "olmo3",
    "olmoe",
    "opt",
    "persimmon",
    "phi",
    "phi3",
    "phimoe",
    "qwen2",
    "qwen2_moe",
    "qwen3",
    "qwen3_moe",
    "seed_oss",
    "smollm3",
    "solar_open",
    "starcoder2",
    "vaultgemma",
    "youtu",
]
# State spaces, convolutions, linear or sparse attention, sinks, biases by position, or code of another make.
APART = [
    "bamba",
    "bloom",
    "codegen",
    "deepseek_v32",
    "deepseek_v4",
    "doge",
    "falcon",
    "falcon_h1",
    "falcon_mamba",
    "glm_moe_dsa",
    "gpt_neo",
    "gpt_neox_japanese",
    "gpt_oss",
    "gptj",
    "granite_swa",
    "granitemoe_swa",
    "granitemoehybrid",
    "hy_v4",
    "inkling_text",
    "jamba",
    "kimi_linear",
    "lfm2",
    "lfm2_moe",
    "llama4",
    "llama4_text",
    "mamba",
    "mamba2",
    "mimo_v2_flash",
    "minimax",
    "minimax_m3_vl_text",
    "modernbert-decoder",
    "mpt",
    "nemotron",
    "nemotron_h",
    "olmo_hybrid",
    "openai-gpt",
    "qwen3_5",
    "qwen3_5_moe",
    "qwen3_5_moe_text",
    "qwen3_5_text",
    "qwen3_next",
    "qwen4_exp",
    "qwen4_exp_text",
    "recurrent_gemma",
    "rwkv",
    "stablelm",
    "zamba",
    "zamba2",
]


def policy_of(model: PreTrainedModel) -> Policy:
    return Policy(model, None, toy_model(None), "random")


def plain(model: Any, prompt: list[int], tokens: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """Log-probs [rows, tokens], one row at a time, from the model's own logits."""
    result = torch.zeros(tokens.shape, dtype=torch.float64)  # [rows, tokens]
    for row in range(len(tokens)):
        completion = tokens[row][mask[row]]  # [its tokens]
        ids = torch.cat([torch.tensor(prompt), completion])[None]  # [1, prompt + its tokens]
        logits = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1]  # [its tokens, vocabulary]
        logp = (logits / temperature).log_softmax(-1)  # [its tokens, vocabulary]
        result[row, : len(completion)] = logp.gather(1, completion[:, None])[:, 0]
    return result


def gradients(model: Any, logp: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    weights = torch.linspace(-1, 2, logp.numel(), dtype=logp.dtype).view(logp.shape)  # [rows, tokens]
    (logp * weights).sum().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_exact(policy: Policy, prompt: list[int] = PROMPT, tokens: Tensor = TOKENS, mask: Tensor = MASK) -> None:
    wanted = plain(policy.model, prompt, tokens, mask, 0.7)
    wanted_gradients = gradients(policy.model, wanted)
    seen, entropy = policy.logprobs([prompt] * len(tokens), tokens, mask, 0.7)
    # Norms, rotations and state spaces are computed in fp32 even in a model of fp64.
    torch.testing.assert_close(seen, wanted, rtol=0, atol=5e-6)
    assert (entropy[mask] > 0).all() and (entropy[~mask] == 0).all()
    seen_gradients = gradients(policy.model, seen)
    for name, gradient in wanted_gradients.items():
        assert (seen_gradients[name] - gradient).abs().max() <= 3e-5 * gradient.abs().max() + 1e-6, name


@pytest.mark.parametrize("kind", [*SHARED, *APART])
def test_every_family_is_scored_as_its_own_logits_say(kind: str) -> None:
    policy = policy_of(build(kind))
    assert_exact(policy)
    assert policy.shares_prompt(20) == (kind in SHARED), policy.scorer.layout


def test_gradient_checkpointing_goes_every_road() -> None:
    for kind in ("qwen3", "qwen3_next", "lfm2", "gpt_oss"):
        policy = policy_of(build(kind))
        policy.model.gradient_checkpointing_enable({"use_reentrant": False})
        assert_exact(policy)


def test_attention_with_a_soft_cap_on_scores_is_apart() -> None:
    model = build("gemma2", attn_logit_softcapping=2.0, attn_implementation="eager")  # as Policy.load loads it
    policy = policy_of(model)
    assert_exact(policy)
    assert not policy.shares_prompt(20)


@pytest.mark.parametrize("kind", ["mistral", "gemma3_text", "olmo3", "phi3", "cohere2", "qwen2"])
def test_beyond_a_sliding_window_rows_go_apart(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    more = {"use_sliding_window": True, "max_window_layers": 1} if kind == "qwen2" else {}
    policy = policy_of(build(kind, sliding_window=16, **more))
    assert policy.shares_prompt(16) and not policy.shares_prompt(17)
    assert_exact(policy)
    assert_exact(policy, PROMPT, MANY, MANY_MASK)
    policy.check_length(16)
    assert "window" not in capsys.readouterr().err
    policy.check_length(17)
    assert (
        "16 tokens only; sequences of more than 16 tokens are computed with a prompt of its own, which is slower"
        in (capsys.readouterr().err)
    )


def test_attention_scaled_by_the_place_in_a_pack_is_apart() -> None:
    """The scale changes at 24 tokens: a probe has fewer, a row of these too, and a pack of all has more."""
    policy = policy_of(build("llama4_text", floor_scale=24, attn_scale=1.0))
    assert_exact(policy, PROMPT, MANY, MANY_MASK)
    assert not policy.shares_prompt(20)
    assert policy_of(build("llama4_text", attn_temperature_tuning=False)).shares_prompt(20)


LONG = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [9.0] * 4, "rope_theta": 1e4}
ROPES: dict[str, dict[str, Any]] = {
    "phi3": {"rope_parameters": LONG, "original_max_position_embeddings": 16, "max_position_embeddings": 64},
    "llama": {
        "rope_parameters": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4},
        "max_position_embeddings": 16,
    },
}


@pytest.mark.parametrize("kind", ROPES)
def test_positions_that_change_with_length(kind: str) -> None:
    """Within the original length nothing changes. Across it, scores would depend on what comes later: refused."""
    policy = policy_of(build(kind, sliding_window=None, **ROPES[kind]))
    assert_exact(policy)
    assert policy.shares_prompt(16)
    policy.check_length(16)
    with pytest.raises(ModelError, match=r"once a sequence is longer than 16 tokens.* is 17: set both .* at most 16"):
        policy.check_length(17)
    if kind == "phi3":  # scored all the same, a row by itself; dynamic positions depend on what was computed before
        assert_exact(policy, PROMPT, MANY, MANY_MASK)


@pytest.mark.parametrize("kind", ["biogpt", "codegen", "ctrl", "gpt2", "gpt_neo", "gpt_bigcode", "gptj", "mpt", "opt"])
def test_positions_from_a_table_end_with_it(kind: str) -> None:
    model = build(kind)
    assert (model.config.max_seq_len if kind == "mpt" else model.config.max_position_embeddings) == 128
    policy = Policy(model, None, toy_model(None), "random", outline=True)
    policy.check_positions(128)
    model(input_ids=torch.zeros(1, 128, dtype=torch.long), use_cache=False)
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.zeros(1, 129, dtype=torch.long), use_cache=False)
    with pytest.raises(ModelError, match=r"'random' has positions for 128 tokens; .* is 129: set both .* at most 128"):
        policy.check_length(129)


def test_a_model_that_only_answers_has_no_more_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Policy(build("gpt2"), None, toy_model(None), "random", outline=True)
    monkeypatch.setattr(Policy, "load", lambda *_, **__: policy)
    rollout = RolloutSettings.model_construct(engine="transformers", max_prompt_tokens=100, max_new_tokens=29)
    with pytest.raises(ModelError, match="has positions for 128 tokens"):
        LocalModel.open(policy.config, rollout, None, 0)


def test_noise_of_training_is_off() -> None:
    for kind, noise in (("gpt2", {"resid_pdrop": 0.5}), ("mixtral", {"router_jitter_noise": 0.5})):
        assert_exact(policy_of(build(kind, **noise)))


@pytest.mark.parametrize("kind", ["bert", "xlnet", "big_bird"])
def test_a_model_that_sees_what_comes_after_is_refused(kind: str) -> None:
    with pytest.raises(ModelError, match=r"sees the tokens that come after .*cannot write from left to right"):
        policy_of(build(kind))


def test_nothing_that_vllm_serves_is_left_out() -> None:
    """Names of vLLM's own registry, read from its text: importing it takes seconds."""
    origin = importlib.util.find_spec("vllm")
    assert origin is not None and origin.submodule_search_locations
    text = (Path(origin.submodule_search_locations[0]) / "model_executor/models/registry.py").read_text()
    tables = re.findall(
        r"^_(?:TEXT_GENERATION|MULTIMODAL|TRANSFORMERS_SUPPORTED)_MODELS\b.*?^}", text, re.MULTILINE | re.DOTALL
    )
    served = {name for table in tables for name in re.findall(r'"(\w+)": \(', table)}
    kinds = {kind for kind, name in CLASSES.items() if served & set(name if isinstance(name, tuple) else [name])}
    assert len(tables) == 3 and "qwen3" in kinds
    assert kinds - {*SHARED, *APART} == {"gemma2", "gemma3n"}  # it has a test of its own; it wants timm


def test_a_model_that_cannot_score_is_one_sentence() -> None:
    model: Any = build("qwen3")
    model.lm_head.weight.data.fill_(float("nan"))
    with pytest.raises(ModelError, match="Qwen3ForCausalLM gives log-probs that are not finite"):
        policy_of(model)


def test_what_is_left_out_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    policy_of(build("qwen3_moe")).check_length(20)
    assert "auxiliary loss is left out" in capsys.readouterr().err
    policy_of(build("qwen3_next")).check_length(20)
    assert "(linear_attention) carry one row's tokens into the next; every completion is" in capsys.readouterr().err


def test_the_check_at_start_gives_up_a_road_that_a_probe_took_for_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers of LFM2 with all guards blind: only the batch's own figures can tell."""
    policy = policy_of(build("lfm2"))
    right = policy.scorer.layout
    policy.scorer.layout = type(right)(right.head, float("inf"))
    policy.model.config._attn_implementation = "shared_prompt"
    found = policy.self_check([PROMPT] * 3, TOKENS, MASK, 0.7)
    assert found.mean < 1e-6 and found.q99 < 1e-5
    assert not policy.shares_prompt(20)


def test_a_wrong_architecture_is_named_at_start() -> None:
    policy = policy_of(build("qwen3"))
    body: Any = policy.model.get_decoder()
    calls = iter(range(100))
    body.norm.register_forward_hook(lambda _, __, states: states * (1 + next(calls)))  # no two passes are alike
    with pytest.raises(ModelError, match=r"Qwen3ForCausalLM differ .* nats per token on average, 99 % of tokens below"):
        policy.self_check([PROMPT] * 3, TOKENS, MASK, 0.7)

"""Log-probs with a shared prompt against the plain computation, for several architectures."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from policy.model import Policy
from tests.toy_policy import toy_model

SHAPE: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
MODELS: dict[str, tuple[type[PreTrainedModel], Any]] = {
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(**SHAPE, head_dim=8, tie_word_embeddings=True)),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(**SHAPE, tie_word_embeddings=False)),
    "llama": (LlamaForCausalLM, LlamaConfig(**SHAPE, tie_word_embeddings=True)),
}


@pytest.fixture(params=MODELS)
def architecture(request: pytest.FixtureRequest) -> Policy:
    torch.manual_seed(0)
    kind, config = MODELS[request.param]
    return Policy(kind(config).double().train(), None, toy_model(None), "random")


PROMPT = [5, 17, 3, 88, 2]
TOKENS = torch.tensor([[7, 9, 11, 0], [1, 2, 3, 4], [50, 0, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1], [1, 0, 0, 0]], dtype=torch.bool)


def plain(policy: Policy, temperature: float) -> torch.Tensor:
    """The same log-probs, one row at a time, from full logits."""
    result = torch.zeros(TOKENS.shape, dtype=torch.float64)
    for row in range(len(TOKENS)):
        completion = TOKENS[row][MASK[row]]
        ids = torch.cat([torch.tensor(PROMPT), completion])[None]
        logits = policy.model(input_ids=ids, use_cache=False).logits[0, len(PROMPT) - 1 : -1] / temperature
        result[row, : len(completion)] = logits.log_softmax(-1).gather(1, completion[:, None])[:, 0]
    return result


def gradients(policy: Policy, logp: torch.Tensor) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    policy.model.zero_grad()
    (logp * torch.randn(logp.shape, dtype=logp.dtype)).sum().backward()
    return {name: p.grad.clone() for name, p in policy.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("checkpointing", [False, True], ids=["shared prompt", "gradient checkpointing"])
def test_logprobs_and_gradients_equal_the_plain_computation(architecture: Policy, checkpointing: bool) -> None:
    wanted = plain(architecture, 0.7)
    wanted_gradients = gradients(architecture, wanted)
    if checkpointing:
        architecture.model.gradient_checkpointing_enable({"use_reentrant": False})
    seen, entropy = architecture.logprobs([PROMPT] * 3, TOKENS, MASK, 0.7)
    torch.testing.assert_close(seen, wanted, rtol=0, atol=1e-10)
    assert (entropy[MASK] > 0).all() and (entropy[~MASK] == 0).all()
    for name, gradient in gradients(architecture, seen).items():
        wanted_gradient = wanted_gradients[name]
        # transformers computes norms in fp32 even in a model of fp64, hence no closer.
        assert (gradient - wanted_gradient).abs().max() < 1e-6 * wanted_gradient.abs().max(), name


def test_a_group_of_single_tokens(architecture: Policy) -> None:
    seen, _ = architecture.logprobs([PROMPT] * 3, TOKENS[:, :1], MASK[:, :1], 1.0)
    torch.testing.assert_close(seen, plain(architecture, 1.0)[:, :1], rtol=0, atol=1e-10)

"""Weights of 8 bits: what is rounded, how far, which models are refused. (With vLLM: test_sampler_vllm.py.)"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from base.errors import ModelError
from policy.lora import LoraSettings
from policy.model import Policy
from policy.samplers import int8
from tests.policy.families import build
from tests.toy_policy import toy_model

LORA = LoraSettings(rank=4, alpha=8, targets="all-linear")


@pytest.mark.parametrize("adapters", [None, LORA])
def test_matrices_of_linear_layers_are_rounded_to_half_a_step(toy_folder: Path, adapters: LoraSettings | None) -> None:
    policy = Policy.load(toy_model(toy_folder), adapters=adapters)
    whole, rounded = dict(policy.weights()), dict(int8.weights(policy))
    matrices = {name.removesuffix("_scale") for name in rounded if name.endswith("_scale")}
    assert matrices == {name for name in whole if name.endswith("proj.weight")} and len(matrices) == 2 * 7
    for name, weight in whole.items():
        if name not in matrices:
            assert torch.equal(rounded[name], weight)
            continue
        scale = rounded[f"{name}_scale"]  # [out, 1]
        assert rounded[name].dtype == torch.int8 and scale.shape == (len(weight), 1)
        assert rounded[name].abs().max(1).values.eq(127).all(), "each row uses all of the range"
        assert ((rounded[name] * scale - weight).abs() <= 0.5001 * scale).all()


@pytest.mark.parametrize(("kind", "layer"), [("gpt2", "Conv1D"), ("qwen3_moe", "Qwen3Moe")])
def test_a_model_with_other_matrices_is_refused(kind: str, layer: str) -> None:
    policy = Policy(build(kind), None, toy_model(None), "random")
    with pytest.raises(ModelError, match=rf"rollout\.quantize=int8 rounds plain linear layers, and .* is a {layer}"):
        list(int8.weights(policy))

"""Weights of 8 bits for vLLM: each matrix of a linear layer as whole numbers, with a scale per output.

vLLM rounds what goes into such a layer too, with a scale per token (W8A8), and multiplies whole numbers, which on a CPU
takes half of the time (docs/results/languages-on-a-cpu.md). Tokens are drawn from the rounded policy, and their
log-probs are its own: `loss.correction` weighs them for the one that is trained. Embedding and head stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from base.errors import ModelError
from policy import lora
from policy.model import Policy

BITS = {"num_bits": 8, "type": "int", "symmetric": True}
# What vLLM reads in a model's configuration, in the format of the library compressed-tensors.
CONFIG: dict[str, Any] = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "ignore": ["re:.*lm_head"],
    "config_groups": {
        "linear": {
            "targets": ["Linear"],
            "weights": BITS | {"strategy": "channel", "dynamic": False},
            "input_activations": BITS | {"strategy": "token", "dynamic": True},
        }
    },
}
LARGEST = 127  # of the whole numbers


@cache
def keep_scales() -> None:
    """Lets the matrices of vLLM's CPU build hold their scales, which they only point at: after a second load those are
    freed, and what is multiplied is noise (vLLM 0.32)."""
    import vllm._custom_ops

    _custom_ops: Any = vllm._custom_ops
    make = _custom_ops.create_onednn_scaled_mm

    def made(matrix: Tensor, scales: Tensor, *options: Any) -> Any:  # [in, out], [out, 1]
        handler: Any = make(matrix, scales, *options)
        handler.scales = scales
        return handler

    _custom_ops.create_onednn_scaled_mm = made


def weights(policy: Policy) -> Iterator[tuple[str, Tensor]]:
    """All that a checkpoint holds, as `Policy.weights` gives it, but matrices of linear layers by two names: `.weight`
    [out, in] in 8 bits and `.weight_scale` [out, 1] in fp32. Raises ModelError for a model that has other matrices."""
    matrices = set(_matrices(policy))
    for name, weight in policy.weights():
        if name not in matrices:
            yield name, weight
            continue
        wide = weight.float()  # [out, in]
        scale = wide.abs().amax(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny) / LARGEST  # [out, 1]
        yield name, (wide / scale).round().to(torch.int8)  # [out, in]
        yield f"{name}_scale", scale


def _matrices(policy: Policy) -> Iterator[str]:
    """Names in a checkpoint. What vLLM rounds and this does not name would be noise, so that nothing is left over."""
    model, output = lora.base(policy.model), policy.model.get_output_embeddings()
    head = set(output.modules())  # with its adapter
    for name, module in model.named_modules():
        if module in head or isinstance(module, nn.Embedding) or ".lora_" in name:
            continue
        if isinstance(module, nn.Linear):
            yield name.removesuffix(".base_layer") + ".weight"
        elif any(parameter.dim() > 1 for parameter in module.parameters(recurse=False)):
            raise ModelError(
                f"rollout.quantize=int8 rounds plain linear layers, and {name} of {type(model).__name__} is a "
                f"{type(module).__name__}; leave it out"
            )

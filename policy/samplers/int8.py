"""Weights of 8 bits for vLLM: each matrix of a linear layer as whole numbers, with a scale per output.

vLLM rounds what goes into such a layer too, with a scale per token (W8A8), and multiplies whole numbers, which halves
the time of a decoding step on a CPU (docs/results/languages-on-a-cpu.md). Tokens are drawn from the rounded policy, and
their log-probs are its own: `loss.correction` weighs them for the one that is trained. Embedding and head stay as they
are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from base.errors import ModelError
from policy import lora
from policy.model import Policy

# What vLLM reads in a model's configuration, in the format of the library compressed-tensors.
CONFIG: dict[str, Any] = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "ignore": ["re:.*lm_head"],
    "config_groups": {
        "linear": {
            "targets": ["Linear"],
            "weights": {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel", "dynamic": False},
            "input_activations": {
                "num_bits": 8,
                "type": "int",
                "symmetric": True,
                "strategy": "token",
                "dynamic": True,
            },
        }
    },
}
LARGEST = 127  # of the whole numbers


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
    [out, in] in 8 bits and `.weight_scale` [out, 1]. Raises ModelError for a mixture of experts."""
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
    """Names in a checkpoint."""
    model = lora.base(policy.model)
    if any(parameter.dim() == 3 for parameter in model.parameters()):
        raise ModelError(
            f"rollout.quantize=int8 is for dense models, and {type(model).__name__} has experts; leave it out"
        )
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and ".lora_" not in name and "lm_head" not in name:
            yield name.removesuffix(".base_layer") + ".weight"

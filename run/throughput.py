"""How hard the machine works: model FLOPs utilisation and peak memory."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from policy import lora
from policy.model import Policy
from policy.ranks import Ranks

# Dense bf16 FLOP/s from the makers' data sheets, by a part of the device's name.
PEAKS = {
    "B200": 2250e12,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,  # whatever else has the name: the first that fits counts
    "L40S": 362e12,
    "A100": 312e12,
    "4090": 165e12,
}


def utilisation(policy: Policy, tokens: float, seconds: float, ranks: Ranks) -> dict[str, float]:
    """`tflops`, a second and rank, of an update on `tokens` tokens of all ranks; and `mfu` where the peak is known.

    Counted as is usual: 2 FLOPs a parameter and token forward, 2 for the gradient of the activations, and 2 for that of
    the weights where they are trained. The embedding's look-up, attention and what is computed twice do not count.
    """
    parameters = dict(policy.model.named_parameters())
    embedding = policy.model.get_input_embeddings().weight
    tied = policy.model.config.tie_word_embeddings
    counted = [p for p in parameters.values() if tied or p is not embedding]
    flops = tokens * sum((6 if p.requires_grad else 4) * lora.numbers(p) for p in counted)
    rate = flops / max(seconds, 1e-9) / ranks.trainers
    name = torch.cuda.get_device_name() if policy.device.type == "cuda" else ""
    peak = next((peak for part, peak in PEAKS.items() if part in name), None)
    return {"tflops": rate / 1e12} | ({"mfu": rate / peak} if peak else {})


def peak_memory_gib(sleeping_bytes: int = 0) -> float:
    """Peak memory of this process in GiB: the GPU's if there is one, else resident.

    `sleeping_bytes`: bytes of a sampler that sleeps, which torch counts as in use and which are free.
    """
    if torch.cuda.is_available():
        return (torch.cuda.max_memory_allocated() - sleeping_bytes) / 2**30
    # Linux hands ru_maxrss on through exec, so it would count the process that started this one too.
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 2**20

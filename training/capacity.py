"""Whether a run fits its machine, by what training/memory.py predicts, and the nearest settings that do.

python train.py model=qwen3_4b rollout=vllm gpus=8 shard=true fit=true
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from transformers import PreTrainedModel

from base.errors import ConfigError
from policy.settings import unshardable
from training.memory import SHARES, USABLE, Estimate, Machine, Plan, Shape, estimate, gib
from training.settings import TrainSettings

ALONE = 0.9  # of a GPU's memory for vLLM, where it has the GPU for itself


def changes(plan: Plan, machine: Machine) -> list[dict[str, Any]]:
    """Other settings to try, those that change least first."""
    found: list[dict[str, Any]] = []
    if plan.ranks > 1 and plan.vllm and not plan.shard:
        found.append({"shard": True})
    if plan.vllm:
        found += [{"vllm": share} for share in SHARES if share < plan.vllm]
    found += [{"token_budget": budget} for budget in (8192, 4096) if plan.longest <= budget < plan.token_budget]
    if not plan.checkpointing:
        found.append({"checkpointing": True})
    if machine.gpus - plan.samplers > plan.ranks == 1 and plan.vllm:
        found.append({"ranks": machine.gpus - plan.samplers, "shard": True})
    if plan.optimizer == "adamw" and plan.full:
        found.append({"optimizer": "adamw8bit"})
    if plan.full:
        found.append({"full": False, "lora_rank": 32})
    if not plan.quantized:
        whole = {"shard": False} if plan.shard else {}
        found.append({"full": False, "lora_rank": plan.lora_rank or 32, "quantized": True, **whole})
    return found


NAMES = {
    "vllm": "rollout.gpu_memory_utilization",
    "token_budget": "optimizer.token_budget",
    "checkpointing": "model.gradient_checkpointing",
    "ranks": "gpus",
    "shard": "shard",
    "optimizer": "optimizer",
    "lora_rank": "lora.rank",
    "quantized": "lora.quantize",
}


def _named(change: Mapping[str, Any], plan: Plan) -> str:
    values = {"quantized": "nf4", "ranks": change.get("ranks", 0) + plan.samplers}
    shown = {
        NAMES[key]: values.get(key, str(value).lower() if isinstance(value, bool) else value)
        for key, value in change.items()
        if key in NAMES
    }
    return " ".join(f"{key}={value}" for key, value in shown.items())


def fitting(shape: Shape, plan: Plan, machine: Machine, most: int = 3) -> Iterator[str]:
    """The nearest settings that fit, as words of a command line: of one change, else of two or more together."""
    options = changes(plan, machine)
    for size in (1, 2, 3):
        found: set[tuple[str, ...]] = set()
        for chosen in combinations(options, size):
            merged: dict[str, Any] = {}
            if any(set(change) & set(merged) or merged.update(change) for change in chosen):
                continue  # two values for one key
            if tuple(merged) in found:
                continue  # a smaller value than one that fits
            other = replace(plan, **merged)
            if other.shard and unshardable(other.optimizer, other.quantized):
                continue
            if not estimate(shape, other, machine).trouble(machine):
                yield _named(merged, plan)
                found.add(tuple(merged))
                if len(found) == most:
                    return
        if found:
            return


def share(shape: Shape, plan: Plan, machine: Machine) -> float:
    """Of a GPU's memory, the largest part for vLLM that the trainer leaves; where all is too much, the largest."""
    shares = (ALONE,) if plan.samplers else SHARES
    fitting = (share for share in shares if not estimate(shape, replace(plan, vllm=share), machine).trouble(machine))
    return next(fitting, shares[0])


def check_host(model: PreTrainedModel, settings: TrainSettings, machine: Machine) -> None:
    """Raises ConfigError where a machine without a GPU cannot hold a run's weights, moments and gradients."""
    shape, plan = Shape.of(model), Plan.of(settings)
    found = estimate(shape, plan, machine).phases["update, layers"]
    sure = plan.ranks * sum(found[part] for part in ("weights", "moments", "gradients"))
    if sure > machine.host:
        raise ConfigError(
            f"model={settings.model.name} wants a GPU, and none is here: weights, moments and gradients alone are "
            f"{gib(sure)}, and this machine has {gib(machine.host)} of memory; choose a smaller model, such as tiny"
        )


def check(model: PreTrainedModel, settings: TrainSettings, machine: Machine) -> Estimate:
    """The estimate for a run that fits. Raises ConfigError for another, with the nearest settings that would."""
    shape, plan = Shape.of(model), Plan.of(settings)
    found = estimate(shape, plan, machine)
    if trouble := found.trouble(machine):
        near: Sequence[str] = list(fitting(shape, plan, machine))
        advice = f"; it fits with {', or '.join(near)}" if near else "; take a smaller model or more memory"
        raise ConfigError(f"this run does not fit: {trouble}{advice}")
    return found


def page(found: Estimate, machine: Machine) -> str:
    """What `fit=true` prints."""
    name = f"{machine.gpus} x {machine.gpu}, {gib(machine.memory)} each; on the GPU that is used most"
    if not machine.gpu:
        name = f"no GPU, {gib(machine.host)} of memory; of the process that needs most of it"
    spare = machine.memory * USABLE - found.peak if machine.gpu else math.nan
    ends = f"\nit fits, with {gib(spare)} to spare" if machine.gpu else ""
    return f"{name}:\n{found.table()}{ends}"

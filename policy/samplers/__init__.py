"""Engines that sample completions, behind one interface (sampler.py): transformers' generate anywhere, vLLM on GPUs."""

from __future__ import annotations

from base import checks
from policy.model import Policy
from policy.ranks import ALONE, Ranks
from policy.samplers.generate import TransformersSampler
from policy.samplers.sampler import Sampler
from policy.settings import RolloutSettings


def open_sampler(policy: Policy, config: RolloutSettings, seed: int, ranks: Ranks = ALONE) -> Sampler:
    """The engine that the config group `rollout` names; each rank has one of its own."""
    checks.one_of("rollout.engine", config.engine, ("transformers", "vllm"))
    if config.engine == "vllm":
        from policy.samplers.vllm import VllmSampler  # vLLM takes a minute to start; only its users wait for it

        return VllmSampler(policy, config, seed, ranks)
    return TransformersSampler(policy, config.batch_size)

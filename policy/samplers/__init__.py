"""Engines that sample completions, behind one interface (sampler.py): transformers' generate anywhere, vLLM on GPUs."""

from __future__ import annotations

from importlib.util import find_spec

import torch
from omegaconf import DictConfig, open_dict

from base import checks
from policy.model import Policy
from policy.ranks import ALONE, Ranks
from policy.samplers.generate import TransformersSampler
from policy.samplers.sampler import Sampler
from policy.samplers.weights import Sender
from policy.settings import RolloutSettings


def choose(config: DictConfig) -> str:
    """Replaces rollout.engine=auto by the engine that suits this machine. Returns a line that says which, or ""."""
    if config.rollout.engine != "auto":
        return ""
    has_gpu, has_vllm = torch.cuda.is_available(), find_spec("vllm") is not None
    config.rollout.engine = "vllm" if has_gpu and has_vllm else "transformers"
    if config.rollout.engine == "transformers":
        with open_dict(config.rollout):
            for key in ("gpu_memory_utilization", "cpu_kv_cache_gib"):
                config.rollout.pop(key, None)
    why = "a GPU is here" if has_gpu and has_vllm else "vLLM is not installed" if has_gpu else "no GPU is here"
    return f"rollout=auto: {config.rollout.engine}, as {why}"


def open_sampler(policy: Policy, config: RolloutSettings, seed: int, ranks: Ranks = ALONE) -> Sampler:
    """The engine that the config group `rollout` names; each rank has one of its own, or its end of others'."""
    checks.one_of("rollout.engine", config.engine, ("transformers", "vllm"))
    if config.engine == "vllm" and not ranks.samples:
        return Sender(policy, ranks)
    if config.engine == "vllm":
        from policy.samplers.vllm import VllmSampler  # vLLM takes a minute to start; only its users wait for it

        return VllmSampler(policy, config, seed, ranks)
    return TransformersSampler(policy, config.batch_size, ranks)

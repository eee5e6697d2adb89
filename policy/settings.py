"""The config groups `model` (a model of this machine) and `rollout` (the engine that samples from it), typed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from base.settings import Count, NotNegative, Positive, Settings, Share


class LocalModel(Settings):
    """A model of this machine: conf/model/*.yaml but endpoint.yaml. An option may have keys of its own."""

    model_config = ConfigDict(extra="allow")

    name: str
    build: str | None  # the module of policy/builtin that makes the weights
    path: str | None  # a folder or a hub id
    learning_rate: Positive | None
    temperature: NotNegative
    max_new_tokens: Count
    system: str | None  # a system message
    chat_template_kwargs: dict[str, Any]
    compute_dtype: str
    gradient_checkpointing: bool


class Engine(Settings):
    """How completions are sampled: conf/rollout/*.yaml."""

    engine: Literal["transformers", "vllm"]
    batch_size: Count  # sequences decoded at once
    temperature: NotNegative
    top_p: Annotated[float, Field(gt=0, le=1)]
    max_new_tokens: Count
    max_prompt_tokens: Count  # a longer prompt is refused
    max_sampler_gap: NotNegative  # nats
    gpu_memory_utilization: Share | None = None  # vLLM's
    cpu_kv_cache_gib: Positive | None = None  # vLLM's

"""The config groups `model` (of this machine) and `rollout`, typed. Who only asks a model waits for no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from base.settings import Count, NotNegative, Positive, Settings


class ModelSettings(Settings):
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

    @model_validator(mode="before")
    @classmethod
    def _has_weights(cls, config: Any) -> Any:
        if isinstance(config, dict) and "base_url" in config:
            raise ValueError(
                "model=endpoint has no weights here; evaluate.py and reformulate.py can ask it, no other can"
            )
        if isinstance(config, dict) and not config.get("path") and not config.get("build"):
            raise ValueError("{key}.path is not given; it must be a folder or a name on the hub")
        return config


class RolloutSettings(Settings):
    """The config group `rollout`: the engine that samples, and how."""

    engine: str  # policy/samplers/__init__.py has the choices
    batch_size: Count  # sequences decoded at once
    temperature: NotNegative
    top_p: Annotated[float, Field(gt=0, le=1)]
    max_new_tokens: Count
    max_prompt_tokens: Count
    max_sampler_gap: Positive  # nats per token
    gpu_memory_utilization: Annotated[float, Field(gt=0, lt=1)] | None = 0.6  # vLLM: share of the GPU's memory
    cpu_kv_cache_gib: Count = 2  # vLLM on a CPU
    quantize: Literal["int8"] | None = None  # vLLM: what its linear layers are rounded to

    @model_validator(mode="after")
    def _vllm_can_draw(self) -> RolloutSettings:
        if self.engine == "vllm" and self.temperature > 2:
            raise ValueError(f"{{key}}.temperature is {self.temperature:g}; with rollout=vllm it must be at most 2")
        if self.engine == "vllm" and 0 < self.temperature < 0.01:  # vLLM would draw at 0.01
            raise ValueError(
                f"{{key}}.temperature is {self.temperature:g}; with rollout=vllm it must be 0 or at least 0.01"
            )
        return self

    @model_validator(mode="after")
    def _vllm_rounds(self) -> RolloutSettings:
        if self.quantize and self.engine == "transformers":
            raise ValueError("{key}.quantize is for vLLM; add rollout=vllm, or leave it out")
        return self

    def sampling(self, temperature: float | None = None) -> Sampling:
        """How completions are drawn; at another `temperature`, all of the distribution."""
        if temperature is not None:
            return Sampling(temperature, self.max_new_tokens, max_prompt_tokens=self.max_prompt_tokens)
        return Sampling(self.temperature, self.max_new_tokens, self.top_p, self.max_prompt_tokens)


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn. The trainer scores tokens at the same `temperature`."""

    temperature: float
    max_new_tokens: int
    top_p: float = 1.0
    max_prompt_tokens: int = 2048  # a longer prompt is an error, not cut
    stop: tuple[str, ...] = ()  # texts that end a completion; they may stay in it


def unshardable(optimizer: str, quantized: bool) -> str:
    """Why weights cannot be spread over the ranks (shard=true) with this optimizer (its name), or with frozen weights
    of 4 bits; "" if they can."""
    if optimizer == "adamw8bit":
        return "optimizer=adamw8bit goes with shard=false: shard=true spreads the moments over the ranks"
    if quantized:
        return "lora.quantize goes with shard=false: weights of 4 bits are small enough for every rank"
    return ""

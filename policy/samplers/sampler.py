"""Sampling completions: what is asked of an engine, and the interface that every engine offers."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

from pydantic import Field

from base.settings import Count, NotNegative, Positive, Settings


class RolloutSettings(Settings):
    """The config group `rollout`: the engine that samples, and how."""

    engine: str  # policy/samplers/__init__.py has the choices
    batch_size: Count  # sequences decoded at once
    temperature: NotNegative
    top_p: Annotated[float, Field(gt=0, le=1)]
    max_new_tokens: Count
    max_prompt_tokens: Count
    max_sampler_gap: Positive  # nats per token
    gpu_memory_utilization: Annotated[float, Field(gt=0, lt=1)] = 0.6  # vLLM: share of the GPU's memory
    cpu_kv_cache_gib: Count = 2  # vLLM on a CPU

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


@dataclass(frozen=True)
class Completion:
    """One sampled answer to prompt number `prompt`."""

    prompt: int
    tokens: list[int]  # sampled ids; the end token is the last of them when `finished`
    logprobs: list[float]  # of each token under softmax(logits / temperature), in nats; vLLM's are after top_p has cut
    text: str  # without special tokens
    finished: bool  # False: cut at max_new_tokens


class Sampler(Protocol):
    """An engine that draws completions. `done` is called once per completion, as soon as it is complete."""

    asleep: int  # bytes of the GPU that torch counts as in use and that were free while the engine last slept

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        n: int,
        sampling: Sampling,
        seed: int,
        done: Callable[[int, Completion], None],
        wanted: Container[int] | None = None,
    ) -> None:
        """Draws `n` completions of each prompt; `done(index, completion)`, index = prompt * n + number.

        `wanted`: only these indices (None: all); each comes out as it would among all of them.
        """

    def sleep(self) -> None:
        """Frees what the trainer needs for its update; `sync` follows before the next `sample`."""

    def sync(self) -> None:
        """Takes over the policy's present weights."""

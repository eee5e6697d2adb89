"""Sampling completions: what is asked of an engine, and the interface that every engine offers."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Protocol

from policy.settings import Sampling


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

    sleeping_bytes: int  # bytes of the GPU that torch counts as in use and that were free while the engine last slept

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        n: int,
        sampling: Sampling,
        seed: int,
        done: Callable[[int, Completion], None],
        wanted: Container[int] | None = None,
        grows: Callable[[int, list[int]], None] | None = None,
    ) -> None:
        """Draws `n` completions of each prompt; `done(index, completion)`, index = prompt * n + number.

        `wanted`: only these indices (None: all); each comes out as it would among all of them. `grows(index, tokens)`:
        those sampled so far, after each; what it raises ends the sampling, and the engine can be used again.
        """

    def sleep(self) -> None:
        """Frees what the trainer needs for its update; `sync` follows before the next `sample`."""

    def sync(self) -> None:
        """Takes over the policy's present weights."""

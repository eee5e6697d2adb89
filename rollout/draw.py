"""Where answers come from: a model on this machine, with any engine of policy/samplers, or one behind an endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from omegaconf import DictConfig

from base.errors import DataError
from chat import open_chat
from chat.reply import Chat, UnansweredError
from policy.model import Policy
from policy.samplers import open_sampler
from policy.samplers.sampler import Completion, Sampler, Sampling
from problems.task import Prompt


@dataclass(frozen=True)
class Answer:
    text: str
    tokens: int  # sampled
    finished: bool  # False: cut at max_new_tokens


class Generator(Protocol):
    source: str  # the model's name, for people
    trouble: str  # why the last question that got no answer got none; "" when all were answered

    def generate(
        self,
        prompts: Sequence[Prompt],
        n: int,
        sampling: Sampling,
        seed: int,
        done: Callable[[int, Answer], None],
        wanted: Container[int],
    ) -> None:
        """Draws answers; `done(index, answer)` for each as soon as it is complete, index = prompt * n + number.

        Only the indices in `wanted` are drawn. Calls `done` in the caller's thread.
        """


class LocalGenerator:
    """A model in this process."""

    def __init__(self, policy: Policy, sampler: Sampler) -> None:
        self.policy, self.sampler = policy, sampler
        self.source = policy.source
        self.trouble = ""

    @classmethod
    def open(cls, model: DictConfig, rollout: DictConfig, checkpoint: Path | None, seed: int) -> LocalGenerator:
        """Loads the model of the config group `model`; its weights only once, by the engine that samples."""
        policy = Policy.load(model, checkpoint, weights=rollout.engine == "transformers")
        return cls(policy, open_sampler(policy, rollout, seed))

    def generate(
        self,
        prompts: Sequence[Prompt],
        n: int,
        sampling: Sampling,
        seed: int,
        done: Callable[[int, Answer], None],
        wanted: Container[int],
    ) -> None:
        tokens = [self._encode(prompt) for prompt in prompts]
        longest = max(range(len(tokens)), key=lambda number: len(tokens[number]))
        if len(tokens[longest]) > sampling.max_prompt_tokens:
            raise DataError(
                f"problem {longest + 1} of the data set makes a prompt of {len(tokens[longest])} tokens; "
                f"rollout.max_prompt_tokens is {sampling.max_prompt_tokens}: raise it, or leave the problem out"
            )

        def emit(index: int, completion: Completion) -> None:
            done(index, Answer(completion.text, len(completion.tokens), completion.finished))

        self.sampler.sample(tokens, n, sampling, seed, emit, wanted)

    def _encode(self, prompt: Prompt) -> list[int]:
        if isinstance(prompt, str):  # text to continue, with whatever the tokenizer begins a text with
            return list(self.policy.tokenizer(prompt)["input_ids"])
        system = self.policy.config.system
        chat = [{"role": "system", "content": system}, *prompt] if system else prompt
        return self.policy.encode(self.policy.template(chat))


class EndpointGenerator:
    """A chat model behind an OpenAI-compatible endpoint. Its requests and answers are kept in `chat.jsonl` beside."""

    def __init__(self, model: DictConfig, folder: Path) -> None:
        """`model` is the config group's endpoint.yaml; `folder` the evaluation's."""
        self.model, self.folder = model, folder
        self.source = str(model.name)
        self.trouble = ""

    def generate(
        self,
        prompts: Sequence[Prompt],
        n: int,
        sampling: Sampling,
        seed: int,
        done: Callable[[int, Answer], None],
        wanted: Container[int],
    ) -> None:
        """A problem whose question is refused, or fails every retry, gets no answers: the others go on."""
        if any(isinstance(prompt, str) for prompt in prompts):
            raise DataError("model=endpoint can only chat, not continue a bare text; add dataset.style=chat")
        try:
            asyncio.run(self._generate(prompts, n, sampling, seed, done, wanted))
        except ExceptionGroup as group:  # of the questions under way; what stopped one stops all
            raise group.exceptions[0] from None

    async def _generate(
        self,
        prompts: Sequence[Prompt],
        n: int,
        sampling: Sampling,
        seed: int,
        done: Callable[[int, Answer], None],
        wanted: Container[int],
    ) -> None:
        async def ask(chat: Chat, number: int, prompt: Prompt) -> None:
            assert not isinstance(prompt, str)
            system = [{"role": "system", "content": str(self.model.system)}] if self.model.system else []
            try:
                reply = await chat.ask(
                    [*system, *prompt],
                    temperature=sampling.temperature,
                    max_tokens=sampling.max_new_tokens,
                    n=n,
                    seed=(seed + number * n) % 2**63,  # of its own: two problems may be asked in the same words
                    top_p=sampling.top_p,
                )
            except UnansweredError as error:
                self.trouble = f"no answer to problem {number + 1} of the data set: {error}"
                return
            for sample, answer in enumerate(reply.answers):
                if number * n + sample in wanted:
                    tokens = reply.completion_tokens // len(reply.answers)  # a server tells only their sum
                    done(number * n + sample, Answer(answer.text, tokens, answer.finished))

        async with open_chat(self.model, self.folder / "chat.jsonl") as chat, asyncio.TaskGroup() as group:
            for number, prompt in enumerate(prompts):
                if any(number * n + sample in wanted for sample in range(n)):
                    group.create_task(ask(chat, number, prompt))

"""A chat model of this machine behind reply.py's interface: policy.model.Policy, sampled by the rollout engine.

Questions that come while the engine is busy wait and are answered together, as one batch. Which share a batch depends
on timing, and with it what is sampled at a temperature; the file of answers makes a second run equal to the first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from base.seeds import derive_seed
from chat.kept import ChatFile
from chat.reply import Answer, Counts, Message, Reply, UnansweredError
from policy.model import Policy
from policy.samplers import open_sampler
from policy.samplers.sampler import Completion, Sampling
from policy.settings import ModelSettings, RolloutSettings


@dataclass(frozen=True)
class _Waiting:
    tokens: list[int]
    n: int
    sampling: Sampling
    seed: int
    reply: asyncio.Future[Any]


class LocalChat:
    """Questions to one model. Open it with `async with`, in the event loop that asks."""

    def __init__(self, model: ModelSettings, rollout: RolloutSettings, kept: Path, seed: int) -> None:
        """`model` and `rollout` are the config groups of these names. Raises ModelError."""
        self.policy = Policy.load(model)
        self.sampler = open_sampler(self.policy, rollout, seed)
        self.max_prompt_tokens = rollout.max_prompt_tokens
        self.batch_size = rollout.batch_size
        self.file = ChatFile(kept)
        self.counts = Counts()
        self.waiting: list[_Waiting] = []
        self.wake = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.engine = asyncio.create_task(self._serve())
        return self

    async def __aexit__(self, *error: object) -> None:
        self.engine.cancel()
        await asyncio.gather(self.engine, return_exceptions=True)
        self.file.close()

    async def ask(
        self,
        messages: Sequence[Message],
        *,
        temperature: float,
        max_tokens: int,
        n: int = 1,
        seed: int | None = None,
        top_p: float = 1.0,
        stop: Sequence[str] = (),
    ) -> Reply:
        """See chat.Chat."""
        question: dict[str, Any] = {
            "model": self.policy.source,
            "messages": [dict(message) for message in messages],
            "temperature": temperature,
            "max_tokens": max_tokens,
            "top_p": top_p,
            "stop": list(stop),
            "seed": seed,
            "n": n,
        }
        return await self.file.reply(question, self.counts, self._ask)

    async def _ask(self, key: str, question: Mapping[str, Any]) -> Any:
        tokens = self.policy.encode(self.policy.template(question["messages"]))
        if len(tokens) > self.max_prompt_tokens:
            why = f"a prompt of {len(tokens)} tokens; rollout.max_prompt_tokens is {self.max_prompt_tokens}"
            self.file.add(key, question, error=why)
            raise UnansweredError(why, refused=True)
        sampling = Sampling(
            question["temperature"],
            question["max_tokens"],
            question["top_p"],
            max_prompt_tokens=self.max_prompt_tokens,
            stop=tuple(question["stop"]),
        )
        reply = asyncio.get_running_loop().create_future()
        self.waiting.append(_Waiting(tokens, question["n"], sampling, derive_seed(question["seed"]), reply))
        self.wake.set()
        completions = await reply
        answers = tuple(_answer(completion, question["stop"]) for completion in completions)
        return Reply(answers, len(tokens), sum(len(c.tokens) for c in completions)).to_body()

    async def _serve(self) -> None:
        """Batch after batch, in a thread, so that what follows an answer runs beside the next batch."""
        while True:
            await self.wake.wait()
            await asyncio.sleep(0)  # whoever is ready to ask does so first
            first = self.waiting[0]
            alike = [w for w in self.waiting if (w.sampling, w.n) == (first.sampling, first.n)]
            batch = alike[: max(1, self.batch_size // first.n)]
            taken = set(map(id, batch))
            self.waiting = [w for w in self.waiting if id(w) not in taken]
            if not self.waiting:
                self.wake.clear()
            try:
                found = await asyncio.to_thread(self._sample, batch)
            except Exception as error:
                for waiting in batch:
                    if not waiting.reply.done():
                        waiting.reply.set_exception(error)
                continue
            for waiting, completions in zip(batch, found, strict=True):
                if not waiting.reply.done():  # whoever asked may have been cancelled
                    waiting.reply.set_result(completions)

    def _sample(self, batch: Sequence[_Waiting]) -> list[list[Completion]]:
        n = batch[0].n
        found: dict[int, Completion] = {}
        seed = batch[0].seed if len(batch) == 1 else derive_seed(*(waiting.seed for waiting in batch))
        self.sampler.sample(
            [waiting.tokens for waiting in batch], n, batch[0].sampling, seed, lambda i, c: found.update({i: c})
        )
        return [[found[row * n + number] for number in range(n)] for row in range(len(batch))]


def _answer(completion: Completion, stop: Sequence[str]) -> Answer:
    """The engine stops after a stop text; a server's answer ends before it."""
    cuts = [place for word in stop if (place := completion.text.find(word)) >= 0]
    if cuts:
        return Answer(completion.text[: min(cuts)], "stop")
    return Answer(completion.text, "stop" if completion.finished else "length")

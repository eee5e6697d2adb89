"""Asking a chat model: the question, the reply, and the file that keeps every one of both.

    async with open_chat(model, folder / "chat.jsonl") as chat:
        reply = await chat.ask(messages, temperature=0.2, max_tokens=1024, n=20, seed=7)
        reply.answers[0].text, reply.answers[0].finished, reply.completion_tokens

Two kinds of model answer behind this one interface: chat/endpoint.py (`model=endpoint`, any server that speaks
OpenAI's chat completions) and chat/local.py (any other `model=`, sampled on this machine). Ask as much as you
like at once: each limits by itself what is under way. The same question always gets the same answers, those in the
file, so whoever wants others gives another seed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chat.reply import Chat
from chat.settings import AnyModel, EndpointSettings

if TYPE_CHECKING:
    from policy.settings import RolloutSettings


def open_chat(
    model: AnyModel, kept: Path, rollout: RolloutSettings | None = None, seed: int = 0, group: str = "model"
) -> Chat:
    """The model that the config group `group` names; a local one samples with the engine that `rollout` names.

    `kept` is the file of requests and answers. Raises ModelError, EndpointError.
    """
    if isinstance(model, EndpointSettings):
        from chat.endpoint import Endpoint  # who asks a model elsewhere loads no torch

        return Endpoint(model, kept, group)
    from chat.local import LocalChat

    assert rollout is not None
    return LocalChat(model, rollout, kept, seed)

"""Asking a chat model: the question, the reply, and the file that keeps every one of both.

    async with open_chat(config, folder / "chat.jsonl") as chat:
        reply = await chat.ask(messages, temperature=0.2, max_tokens=1024, n=20, seed=7)
        reply.answers[0].text, reply.answers[0].finished, reply.completion_tokens

Two kinds of model answer behind this one interface: policy/endpoint.py (`model=endpoint`, any server that speaks
OpenAI's chat completions) and policy/local_chat.py (any other `model=`, sampled on this machine). Ask as much as you
like at once: each limits by itself what is under way. The same question always gets the same answers, those in the
file, so whoever wants others gives another seed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from omegaconf import DictConfig, OmegaConf

from policy.choice import ConfigError

Message = Mapping[str, str]  # role (system, user, assistant) and content


class EndpointError(Exception):
    """The model cannot be asked at all. The message is one sentence that names the config key and what to do."""


class UnansweredError(Exception):
    """This one question got no answer, others may: refused (too long), or no use after every retry."""


class AnswerError(ValueError):
    """A body that is no chat completion. The message says what is wrong with it."""


@dataclass(frozen=True)
class Answer:
    """One sample."""

    text: str
    finish_reason: str  # stop | length (cut at max_tokens) | what else the server says, e.g. content_filter

    @property
    def finished(self) -> bool:
        return self.finish_reason == "stop"


@dataclass(frozen=True)
class Reply:
    """The answers to one question, in order, and what they cost."""

    answers: tuple[Answer, ...]
    prompt_tokens: int  # 0 where the server does not say
    completion_tokens: int  # of all answers together

    @classmethod
    def from_body(cls, body: Any) -> Reply:
        """`body` is a chat completion in OpenAI's format. Raises AnswerError for anything else."""
        if not isinstance(body, dict) or not isinstance(body.get("choices"), list) or not body["choices"]:
            raise AnswerError("no choices in it")
        answers = []
        for choice in body["choices"]:
            message = choice.get("message") if isinstance(choice, dict) else None
            # A model cut off while it reasons has content null.
            if not isinstance(message, dict) or not isinstance(message.get("content", 0), str | None):
                raise AnswerError("a choice without a message")
            text = (message["content"] or "").encode(errors="replace").decode()  # JSON can hold half a character
            answers.append(Answer(text, str(choice.get("finish_reason"))))
        usage = body.get("usage")
        tokens = usage.get if isinstance(usage, dict) else {}.get
        return cls(tuple(answers), _whole(tokens("prompt_tokens")), _whole(tokens("completion_tokens")))

    def to_body(self) -> dict[str, Any]:
        """The body that `from_body` reads back."""
        choices = [
            {"index": n, "message": {"role": "assistant", "content": a.text}, "finish_reason": a.finish_reason}
            for n, a in enumerate(self.answers)
        ]
        usage = {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens}
        return {"choices": choices, "usage": usage}


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


@dataclass
class Counts:
    """What has been asked since the start."""

    answers: int = 0  # those from the file included
    cached: int = 0  # answers that were in the file
    retries: int = 0
    prompt_tokens: int = 0  # of what was asked anew
    completion_tokens: int = 0
    trouble: str = ""  # why the last retry was needed, until an answer comes

    def __str__(self) -> str:
        """One line for a progress bar."""
        parts = [f"{self.answers} answers"]
        if self.cached:
            parts.append(f"{self.cached} from the file")
        if self.completion_tokens:
            parts.append(f"{self.completion_tokens} tokens")
        if self.retries:
            parts.append(f"{self.retries} retries")
        return ", ".join(parts) + (f" ({self.trouble})" if self.trouble else "")


class Chat(Protocol):
    """A model that can be asked."""

    counts: Counts

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
        """`n` answers to one conversation.

        Raises UnansweredError when this question gets no answer, EndpointError when none can get one. A server may
        not know `seed`; the file tells questions apart by it all the same.
        """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *error: object) -> None: ...


class ChatFile:
    """Every request and every answer, one JSON object a line: {key, request, answer} or {key, request, error}.

    A line is appended by one write, so several processes may share a file, and a kill leaves at most half a line,
    which the next start passes over. In memory are only the answers' places. Raises EndpointError where it cannot
    be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.places: dict[str, tuple[int, int]] = {}  # key -> offset and length of the line, bytes
        self.asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise EndpointError(f"cannot write the answers to {path} ({error.strerror})") from None
        self._read()

    def _read(self) -> None:
        offset, line = 0, b"\n"
        with open(self.path, "rb") as lines:
            for line in lines:
                try:
                    row = json.loads(line)
                    if line.endswith(b"\n") and "answer" in row:
                        self.places.setdefault(row["key"], (offset, len(line)))
                except (ValueError, TypeError, KeyError):
                    pass  # cut off by a kill
                offset += len(line)
        if not line.endswith(b"\n"):
            os.write(self.file, b"\n")

    def get(self, key: str) -> Any:
        """The answer's body, or None."""
        if key not in self.places:
            return None
        offset, length = self.places[key]
        return json.loads(os.pread(self.file, length, offset))["answer"]

    def add(self, key: str, request: Mapping[str, Any], *, answer: Any = None, error: str | None = None) -> None:
        """Keeps an answer's body, or why there is none."""
        outcome = {"answer": answer} if error is None else {"error": error}
        line = json.dumps({"key": key, "request": request, **outcome}, ensure_ascii=True).encode() + b"\n"
        if os.write(self.file, line) < len(line):
            raise EndpointError(f"cannot write the answers to {self.path} (the disk is full)")
        if error is None:
            end = os.lseek(self.file, 0, os.SEEK_CUR)
            self.places.setdefault(key, (end - len(line), len(line)))

    async def reply(
        self, question: Mapping[str, Any], counts: Counts, ask: Callable[[str, Mapping[str, Any]], Awaitable[Any]]
    ) -> Reply:
        """The reply in the file, or else what `ask(key, question)` gets, which is then in the file.

        Of two equal questions at the same time one is asked, and both get its answer.
        """
        key = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
        async with self.asking[key]:
            body = self.get(key)
            if body is not None:
                reply = Reply.from_body(body)
                counts.cached += len(reply.answers)
            else:
                body = await ask(key, question)
                reply = Reply.from_body(body)
                self.add(key, question, answer=body)
                counts.prompt_tokens += reply.prompt_tokens
                counts.completion_tokens += reply.completion_tokens
        self.asking.pop(key, None)
        counts.answers += len(reply.answers)
        return reply

    def close(self) -> None:
        os.close(self.file)


def model_name(config: DictConfig, group: str = "model") -> str:
    """What a config group's model is called. Raises ConfigError where an endpoint's name or address is not given."""
    for key in ("name", "base_url"):
        if OmegaConf.is_missing(config, key):
            raise ConfigError(
                f"{group}.{key} is not given; {group}=endpoint needs {group}.base_url=http://localhost:8000/v1 "
                f"{group}.name=..."
            )
    return str(config.name)


def open_chat(
    config: DictConfig, kept: Path, rollout: DictConfig | None = None, seed: int = 0, group: str = "model"
) -> Chat:
    """The model that the config group `group` names; a local one samples with the engine that `rollout` names.

    `kept` is the file of requests and answers. Raises ModelError, ConfigError, EndpointError.
    """
    if "base_url" in config:
        from policy.endpoint import Endpoint  # who asks a model elsewhere loads no torch

        return Endpoint(config, kept, group)
    from policy.local_chat import LocalChat

    assert rollout is not None
    return LocalChat(config, rollout, kept, seed)

"""Questions to a chat model and their replies: the interface of every model that can be asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from base.errors import UserError

Message = Mapping[str, str]  # role (system, user, assistant) and content


class EndpointError(UserError):
    """The model cannot be asked at all. The message is one sentence that names the config key and what to do."""


class UnansweredError(Exception):
    """This one question got no answer, others may: `refused` (too long) as it always will be, or every retry failed."""

    def __init__(self, why: str, refused: bool = False):
        super().__init__(why)
        self.refused = refused


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

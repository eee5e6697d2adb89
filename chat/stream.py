"""An answer that comes in pieces, as server-sent events, put together into the body of a whole one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from chat.reply import AnswerError


class Stream:
    """A chat completion in OpenAI's chunks: `data: {"choices": [{"index": 0, "delta": {"content": "..."}}]}`."""

    def __init__(self, grows: Callable[[int, str], None]) -> None:
        """`grows(number, text)`: what there is of answer `number`, after each piece of it."""
        self.grows = grows
        self.texts: dict[int, str] = {}
        self.ends: dict[int, str] = {}  # finish reasons
        self.usage: Any = None
        self.trouble = ""  # the first thing in it that is no chunk
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Takes what has come; a line may come in several parts."""
        *lines, self._rest = (self._rest + data).split(b"\n")  # JSON's own line feeds are escaped
        for line in lines:
            if line.startswith(b"data:") and not self.trouble:
                self._event(line[5:].strip())

    def _event(self, data: bytes) -> None:
        if data == b"[DONE]":
            return
        grown = set()
        try:
            chunk = json.loads(data)
            self.trouble = str(chunk.get("error") or "")
            self.usage = chunk.get("usage") or self.usage
            for choice in chunk.get("choices") or []:
                number, text = int(choice.get("index", 0)), choice["delta"].get("content") or ""
                self.texts[number] = self.texts.get(number, "") + text
                if choice.get("finish_reason"):
                    self.ends[number] = str(choice["finish_reason"])
                if text:
                    grown.add(number)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self.trouble = "an event that is no chunk of one"
        for number in grown:
            self.grows(number, self.texts[number])

    def body(self) -> dict[str, Any]:
        """The body that `chat.reply.Reply` reads. Raises AnswerError where the stream broke off."""
        if self.trouble or not self.texts or self.texts.keys() != self.ends.keys():
            raise AnswerError(self.trouble or "it broke off")
        choices = [
            {"index": number, "message": {"role": "assistant", "content": text}, "finish_reason": self.ends[number]}
            for number, text in sorted(self.texts.items())
        ]
        return {"choices": choices, "usage": self.usage}

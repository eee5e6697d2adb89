"""The file that keeps every question to a model and every answer: a second run asks nothing twice."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from base.jsonl import RowLog
from chat.reply import Counts, Reply


class ChatFile:
    """Every request and every answer: {key, request, answer} or {key, request, error}.

    In memory are only the answers' places. Raises RunError where the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.log = RowLog(path)
        self.places: dict[str, int] = {}  # key -> offset of the line
        self.asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        for offset, row in self.log.rows():
            if "answer" in row and isinstance(row.get("key"), str):
                self.places.setdefault(row["key"], offset)

    def get(self, key: str) -> Any:
        """The answer's body, or None."""
        return self.log.at(self.places[key])["answer"] if key in self.places else None

    def add(self, key: str, request: Mapping[str, Any], *, answer: Any = None, error: str | None = None) -> None:
        """Keeps an answer's body, or why there is none."""
        outcome = {"answer": answer} if error is None else {"error": error}
        place = self.log.add({"key": key, "request": request, **outcome})
        if error is None:
            self.places.setdefault(key, place)

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
        self.log.close()

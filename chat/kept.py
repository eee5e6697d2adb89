"""The file that keeps every question to a model and every answer: a second run asks nothing twice."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from chat.reply import Counts, EndpointError, Reply


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
            raise EndpointError(f"cannot write the answers to {path} ({error.strerror})") from error
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

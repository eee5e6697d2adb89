"""A chat model behind an OpenAI-compatible endpoint: vLLM's server, llama.cpp, Ollama, OpenAI, OpenRouter and others.

    async with Endpoint(model, folder / "chat.jsonl") as endpoint:       # conf/model/endpoint.yaml
        reply = await endpoint.ask(messages, temperature=0.2, max_tokens=1024, n=20, seed=7)

The interface is `chat.reply.Chat`. Transient failures are retried, after a jittered pause that doubles from one
second, or for as long as Retry-After says: time-outs, 408, 409, 425, 429, 5xx, a connection that breaks, an answer
that is no chat completion or half of one. What would go wrong for every question (no such host, key or model) raises
EndpointError, with one sentence; what concerns one question only raises UnansweredError.

Why not the `openai` package: its retries see statuses and connections only. An answer that dribbles past the time-out,
has no end, or is half a JSON under status 200 is not asked again, a Retry-After above a minute is ignored, and an
account without credit is asked to the last retry. With its retries off, what is left of it is the one POST below.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2 as httpx

from base.text import visible
from chat.kept import ChatFile
from chat.reply import AnswerError, Counts, EndpointError, Message, Reply, UnansweredError
from chat.settings import EndpointSettings
from chat.stream import Stream

TRANSIENT = {408, 409, 425, 429, *range(500, 600)}  # statuses worth another try
LONGEST_PAUSE_S = 60.0  # of our own; a server may ask for more
LONGEST_RETRY_AFTER_S = 900.0  # beyond it the user decides
LARGEST_BODY = 64 * 2**20  # bytes
CONNECT_S = 10.0

logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells of every request, over the progress


class _Transient(Exception):
    """A failure worth another try."""

    def __init__(self, why: str, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after  # seconds


class Endpoint:
    """Questions to one model. Open it with `async with`, in the event loop that asks."""

    def __init__(self, model: EndpointSettings, kept: Path, group: str = "model") -> None:
        """`model` is the config group `group`; `kept` the file of requests and answers."""
        self.group, self.model = group, model
        self.name, self.url, self.key_env = model.name, model.base_url, model.key_env
        self.slots = asyncio.Semaphore(model.concurrency)
        self.file = ChatFile(kept)
        self.counts = Counts()
        self.most_at_once = 2**31  # answers per request; 1 once the server has refused more
        self.resume_at = 0.0  # monotonic clock: nothing is sent before it, a server has asked for a pause
        self.failures = 0  # questions unanswered since the last answer
        self.reached = False  # whether the server has ever said anything
        secret = os.environ.get(self.key_env)
        # No proxy has a way to this machine's own servers, whatever the environment says.
        self.client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {secret}"} if secret else {},
            timeout=httpx.Timeout(None, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=model.concurrency + 1),
            trust_env=not _is_loopback(str(urlsplit(self.url).hostname)),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.file.close()
        await self.client.aclose()

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
        grows: Callable[[int, str], None] | None = None,
    ) -> Reply:
        """See chat.Chat. A server that gives fewer answers at once than `n` is asked again for the rest.

        `grows(number, text)` gets an answer's text so far, where the server can stream; after a retry it begins anew.
        """
        question: dict[str, Any] = {
            "base_url": self.url,
            "model": self.name,
            "messages": [dict(message) for message in messages],
            "temperature": temperature,
            "max_tokens": max_tokens,
            "top_p": top_p,
            "stop": list(stop),
            "seed": seed,
            "extra": self.model.request or {},
        }
        replies: list[Reply] = []
        while (first := sum(len(reply.answers) for reply in replies)) < n:
            part = {**question, "first": first, "n": n - first}  # which of the answers
            ask = partial(self._ask, grows=grows and _counted_from(first, grows))
            replies.append(await self.file.reply(part, self.counts, ask))
        return Reply(
            tuple(answer for reply in replies for answer in reply.answers)[:n],
            sum(reply.prompt_tokens for reply in replies),
            sum(reply.completion_tokens for reply in replies),
        )

    async def _ask(self, key: str, question: Mapping[str, Any], grows: Callable[[int, str], None] | None) -> Any:
        """The body of the answer, after as many tries as it takes."""
        # A question that waits for its next try keeps its slot: a server in trouble gets less to do, not more.
        async with self.slots:
            failed, why = 0, ""
            while failed <= self.model.retries:
                await asyncio.sleep(self.resume_at - time.monotonic())
                asked = min(question["n"], self.most_at_once)  # another question may lower it meanwhile
                try:
                    body = await self._send(self._request(question, bool(grows)), grows)
                except _Transient as error:
                    why = self.counts.trouble = str(error)
                    self.file.add(key, question, error=why)
                    failed += 1
                    if failed <= self.model.retries:
                        self.counts.retries += 1
                        await self._pause(failed, error.retry_after)
                except EndpointError as error:
                    self.file.add(key, question, error=str(error))
                    raise
                except UnansweredError as error:
                    self.file.add(key, question, error=str(error))
                    if asked == 1:
                        raise
                    self.most_at_once = 1  # many servers know only n = 1
                else:
                    self.failures, self.counts.trouble = 0, ""
                    return body
        self.failures += 1
        why = f"{why}, after {failed} tries"
        if self.failures > self.model.concurrency:
            raise EndpointError(
                f"{self.group}.base_url: the last {self.failures} questions to {self.url} got no answer ({why})"
            )
        raise UnansweredError(why)

    def _request(self, question: Mapping[str, Any], streams: bool) -> dict[str, Any]:
        """The body to send. `model.request` has the last word; its nulls leave a key out."""
        body: dict[str, Any] = {
            key: question[key] for key in ("model", "messages", "temperature", "max_tokens", "top_p")
        }
        body["n"] = min(question["n"], self.most_at_once)
        if question["stop"]:
            body["stop"] = question["stop"]
        if question["seed"] is not None:
            body["seed"] = (question["seed"] + question["first"]) % 2**63
        if streams:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return {key: value for key, value in {**body, **question["extra"]}.items() if value is not None}

    async def _pause(self, failed: int, retry_after: float | None) -> None:
        if retry_after is None:
            await asyncio.sleep(min(2.0 ** (failed - 1), LONGEST_PAUSE_S) * random.uniform(0.5, 1.0))
        elif retry_after > LONGEST_RETRY_AFTER_S:
            raise EndpointError(
                f"{self.group}.base_url: {self.url} asks for a pause of {retry_after:.0f} s; try again then"
            )
        else:  # everybody waits, then not all come back in the same instant
            self.resume_at = max(self.resume_at, time.monotonic() + retry_after)
            await asyncio.sleep(retry_after + random.uniform(0.0, 0.5))

    async def _send(self, request: Mapping[str, Any], grows: Callable[[int, str], None] | None) -> Any:
        """One try. Returns a body that is a chat completion."""
        stream = Stream(grows) if grows else None
        try:
            async with asyncio.timeout(self.model.timeout_s):
                status, headers, content = await self._http("POST", "/chat/completions", request, stream)
        except TimeoutError as error:
            raise _Transient(f"no answer in {self.model.timeout_s:g} s ({self.group}.timeout_s)") from error
        except httpx.TransportError as error:
            why = _one_line(error) or type(error).__name__
            if not self.reached and isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                raise EndpointError(f"{self.group}.base_url: no server answers at {self.url} ({why})") from error
            raise _Transient(f"the connection broke: {why}") from error
        self.reached = True
        text = _one_line(content.decode(errors="replace"))
        if status != 200:
            await self._refused(status, headers, text)
        try:
            streamed = stream is not None and _is_stream(headers)
            body = stream.body() if stream and streamed else json.loads(content)
            Reply.from_body(body)
        except (ValueError, RecursionError) as error:
            why = str(error) if isinstance(error, AnswerError) else "not JSON"
            raise _Transient(f"an answer that is no chat completion ({why}): {text[:80]}") from error
        return body

    async def _http(
        self, method: str, path: str, request: Mapping[str, Any] | None = None, stream: Stream | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and at most LARGEST_BODY bytes; events are handed to `stream` as they come."""
        async with self.client.stream(method, self.url + path, json=request) as response:
            content = bytearray()
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > LARGEST_BODY:
                    raise _Transient(f"an answer of more than {LARGEST_BODY // 2**20} MiB")
                if stream is not None and _is_stream(response.headers):
                    stream.feed(chunk)
            return response.status_code, response.headers, bytes(content)

    async def _refused(self, status: int, headers: Mapping[str, str], text: str) -> None:
        """Raises what a status other than 200 means."""
        said = f"HTTP {status}: {text[:200]}" if text else f"HTTP {status}"
        if "insufficient_quota" in text:
            raise EndpointError(f"{self.group}.key_env: the account at {self.url} has no credit left ({said})")
        if status in TRANSIENT:
            raise _Transient(said, retry_after(headers.get("retry-after")))
        if status in (401, 403):
            what = "is refused" if os.environ.get(self.key_env) else "is not set"
            raise EndpointError(
                f"{self.group}.key_env: {self.url} wants a key, and that of the environment variable {self.key_env} "
                f"{what} ({said})"
            )
        if status in (400, 404, 422):
            models = await self._models()
            if models and self.name not in models:
                listed = _one_line(", ".join(models[:20]))
                raise EndpointError(f"{self.group}.name is {self.name!r}; the models at {self.url} are {listed}")
            if status == 404:
                raise EndpointError(
                    f"{self.group}.base_url: nothing is at {self.url}/chat/completions, or no model {self.name!r} "
                    f"({said}); most addresses end with /v1"
                )
        if status in (400, 413, 422):
            raise UnansweredError(said, refused=True)
        raise EndpointError(f"{self.group}.base_url: {self.url} cannot be asked ({said})")

    async def _models(self) -> list[str]:
        """The names of the models there are, or [] where the server does not tell."""
        try:
            async with asyncio.timeout(CONNECT_S):
                status, _, content = await self._http("GET", "/models")
            return [str(model["id"]) for model in json.loads(content)["data"]] if status == 200 else []
        except (TimeoutError, _Transient, httpx.TransportError, ValueError, KeyError, TypeError):
            return []


def retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks to wait (a number, or a date), or None."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError):
            return None
    return max(0.0, seconds) if seconds == seconds else None  # NaN is no number of seconds


def _counted_from(first: int, grows: Callable[[int, str], None]) -> Callable[[int, str], None]:
    return lambda number, text: grows(first + number, text)


def _is_stream(headers: Mapping[str, str]) -> bool:
    """Whether the answer comes as events. A server that cannot stream sends a whole body all the same."""
    return headers.get("content-type", "").startswith("text/event-stream")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _one_line(value: object) -> str:
    return visible(" ".join(str(value).split()))

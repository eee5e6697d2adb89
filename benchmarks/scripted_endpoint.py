"""A chat server on a real socket whose answers a test writes: good ones, slow ones, refusals, garbage, half a JSON."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Raw:
    """An HTTP answer, byte by byte."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0  # before anything is sent
    cut: bool = False  # promise more bytes than are sent, then hang up
    dribble_s: float = 0.0  # between two bytes of the body
    pieces: Iterable[bytes] | None = None  # in place of `body`: sent as they come, then the server hangs up


# What a test's script makes of a request: the text of an answer, several, or an HTTP answer of any kind.
Script = Callable[[dict[str, Any]], "str | list[str] | Raw"]


class ScriptedEndpoint:
    """Its `requests` are those seen so far; `most_at_once` is how many were under way at the same time."""

    def __init__(self, script: Script, models: tuple[str, ...] = ("scripted",)) -> None:
        self.script = script
        self.models = models
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []  # the Authorization headers
        self.under_way = self.most_at_once = 0
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                models = {"data": [{"id": name} for name in outer.models]}
                outer.send(self, Raw(body=json.dumps(models).encode()) if self.path == "/v1/models" else Raw(404))

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.lock:
                    outer.requests.append(request)
                    outer.keys.append(self.headers["Authorization"])
                    outer.under_way += 1
                    outer.most_at_once = max(outer.most_at_once, outer.under_way)
                try:
                    answer = outer.script(request) if self.path == "/v1/chat/completions" else Raw(404)
                    outer.send(self, answer if isinstance(answer, Raw) else completion(answer))
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the client has given up
                finally:
                    with outer.lock:
                        outer.under_way -= 1

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def send(self, handler: BaseHTTPRequestHandler, answer: Raw) -> None:
        time.sleep(answer.delay_s)
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if answer.pieces is not None:
            handler.send_header("Connection", "close")
            handler.end_headers()
            for piece in answer.pieces:
                handler.wfile.write(piece)
                handler.wfile.flush()
            return
        handler.send_header("Content-Length", str(len(answer.body) + 100 * answer.cut))
        handler.end_headers()
        step = 1 if answer.dribble_s else max(1, len(answer.body))
        for start in range(0, len(answer.body), step):
            handler.wfile.write(answer.body[start : start + step])
            handler.wfile.flush()
            time.sleep(answer.dribble_s)
        handler.close_connection |= answer.cut

    def config(self, **keys: Any) -> DictConfig:
        """The config group `model` that asks this server."""
        changes: dict[Any, Any] = {"name": "scripted", "base_url": self.url, "timeout_s": 20, **keys}
        config = OmegaConf.merge(OmegaConf.load(ROOT / "conf/model/endpoint.yaml"), changes)
        assert isinstance(config, DictConfig)
        return config


def completion(answer: str | list[str], finish_reason: str = "stop") -> Raw:
    texts = [answer] if isinstance(answer, str) else answer
    body = {
        "object": "chat.completion",
        "choices": [
            {"index": n, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
            for n, text in enumerate(texts)
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3 * len(texts)},
    }
    return Raw(body=json.dumps(body).encode(), headers={"Content-Type": "application/json"})


def events(*texts: str, finish_reason: str | None = "stop") -> list[bytes]:
    """A streamed completion: one event a text, one for the end, one for the usage, as vLLM's server sends them."""
    parts: list[dict[str, Any]] = [{"delta": {"role": "assistant", "content": ""}, "finish_reason": None}]
    parts += [{"delta": {"content": text}, "finish_reason": None} for text in texts]
    parts += [{"delta": {}, "finish_reason": finish_reason}] if finish_reason else []
    chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, **part}]} for part in parts]
    chunks.append({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})
    lines = [json.dumps(chunk, ensure_ascii=False) for chunk in chunks]
    return [f"data: {line}\n\n".encode() for line in [*lines, "[DONE]"]]


def streamed(pieces: Iterable[bytes]) -> Raw:
    return Raw(headers={"Content-Type": "text/event-stream; charset=utf-8"}, pieces=pieces)


@contextmanager
def serve(script: Script, models: tuple[str, ...] = ("scripted",)) -> Iterator[ScriptedEndpoint]:
    endpoint = ScriptedEndpoint(script, models)
    thread = threading.Thread(target=endpoint.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.server.shutdown()
        endpoint.server.server_close()
        thread.join()

"""What a request passes before the service looks at it: whose it is, and how much it brings."""

from __future__ import annotations

import base64
import binascii
import hmac
import json

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.serve.metrics import Metrics

OPEN = ("/health", "/docs", "/openapi.json")  # what needs no token: nothing runs there
HELD_BODIES = 16  # largest bodies that all requests together may hold in memory


class Guard:
    """ASGI middleware: 401 without the token, 413 for a body above the limit, 429 where all bodies together are."""

    def __init__(self, app: ASGIApp, token: str | None, body_bytes: int, metrics: Metrics):
        """`token`: None lets everybody in."""
        self.app = app
        self.token = token
        self.body_bytes = body_bytes
        self.metrics = metrics
        self._held = 0  # bytes of the bodies of the requests that have no answer yet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        held, answered = 0, False

        async def refuse(status: int, why: str, **more: str) -> None:
            body = json.dumps({"detail": why}).encode()
            fields = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
            raw = [(key.encode(), value.encode()) for key, value in (fields | more).items()]
            await sent({"type": "http.response.start", "status": status, "headers": raw})
            await send({"type": "http.response.body", "body": body})

        async def sent(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                if message["status"] in (401, 413, 422, 429):
                    self.metrics.refused(message["status"])
            await send(message)

        async def received() -> Message:
            nonlocal held
            message = await receive()
            size = len(message.get("body", b""))
            held += size
            self._held += size
            self._check(held, 0)
            return message

        try:
            if self.token and scope["path"] not in OPEN and not _shows(headers.get("authorization", ""), self.token):
                more = {"www-authenticate": 'Basic realm="the token is the password"'}
                await refuse(401, "this service wants its token, as a bearer token or as a password", **more)
                return
            announced = headers.get("content-length", "0")
            self._check(int(announced) if announced.isdigit() else 0, int(announced) if announced.isdigit() else 0)
            await self.app(scope, received, sent)
        except HTTPException as error:
            if answered:
                raise
            await refuse(error.status_code, error.detail)
        finally:
            self._held -= held

    def _check(self, body: int, coming: int) -> None:
        """Raises HTTPException. `body`: bytes of this request; `coming`: those of them that are not here yet."""
        if body > self.body_bytes:
            raise HTTPException(413, f"a request may have {self.body_bytes / 2**20:g} MiB: send several")
        if self._held + coming > HELD_BODIES * self.body_bytes:
            raise HTTPException(429, "the requests that wait fill the memory set aside for them: try again later")


def _shows(authorization: str, token: str) -> bool:
    """Whether a request carries the token: `Bearer TOKEN`, or `Basic`, as http://any:TOKEN@host becomes."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            value = base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(value.strip().encode(), token.encode())

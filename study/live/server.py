"""The pages over HTTP, for this machine's own browser. Nothing can be changed from there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from base.errors import DataError
from study.live.folders import Folders
from study.live.pages import TEMPLATES, NotFound, Pages

# What a model wrote is text on every page; should a page be wrong about that, a browser still runs and loads nothing.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
STATIC = {"style.css": "text/css", "live.js": "text/javascript"}


def app(folders: Folders, hosts: list[str]) -> Starlette:
    """`hosts`: names by which the server may be asked; another site's name that points here is refused."""
    pages = Pages(folders)
    views: dict[str, Callable[[Request], str]] = {
        "/": lambda request: pages.index(request.query_params),
        "/folder": lambda request: pages.folder(request.query_params),
        "/table": lambda request: pages.table(request.query_params),
        "/group": lambda request: pages.group(request.query_params),
        "/problem": lambda request: pages.problem(request.query_params),
        "/difference": lambda request: pages.difference(request.query_params, request.query_params.getlist("pick")),
    }

    def whole(request: Request) -> Response:
        try:
            return PlainTextResponse(pages.whole(request.query_params).encode("utf-8", "replace"), headers=HEADERS)
        except (NotFound, DataError) as error:
            return PlainTextResponse(f"{error}\n".encode("utf-8", "replace"), 404, headers=HEADERS)

    return Starlette(
        routes=[
            *(Route(path, _page(pages, view)) for path, view in views.items()),
            *(Route(f"/{name}", _file(TEMPLATES / name, kind)) for name, kind in STATIC.items()),
            Route("/whole", whole),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)],
        exception_handlers={
            404: lambda request, error: _html(pages.trouble("Not found", "there is no such page"), 404)
        },
    )


def _page(pages: Pages, view: Callable[[Request], str]) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:  # no coroutine: Starlette calls it in a thread
        try:
            page, status = view(request), 200
        except NotFound as error:
            page, status = pages.trouble("Not found", str(error)), 404
        except DataError as error:  # a file that is gone, or half written
            page, status = pages.trouble("Cannot be read now", str(error)), 503
        tag = f'"{hashlib.sha256(page.encode()).hexdigest()[:24]}"'
        if status == 200 and request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag, **HEADERS})
        return _html(page, status, tag)

    return answer


def _html(page: str, status: int, tag: str = "") -> Response:
    return Response(page, status, {**HEADERS, **({"ETag": tag} if tag else {})}, "text/html; charset=utf-8")


def _file(path: Path, kind: str) -> Callable[[Request], Response]:
    content = path.read_bytes()
    return lambda request: Response(content, headers=HEADERS, media_type=f"{kind}; charset=utf-8")

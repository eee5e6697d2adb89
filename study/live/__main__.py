"""Serves the runs and scores of one or two folders to a browser on this machine:

    python -m study.live runs/
    python -m study.live runs scores port=9000

Without a second folder, `scores` beside the first is shown too, if it is there. Ctrl-C ends it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from socket import socket
from typing import Annotated, ClassVar

import uvicorn
from pydantic import Field

from base import script
from base.command_line import Command
from base.errors import RunError
from study.live.folders import Folders
from study.live.server import app

LOCAL = ("127.0.0.1", "localhost", "::1")


class Arguments(Command):
    usage: ClassVar[str] = "python -m study.live runs/"
    bare: ClassVar[tuple[str, ...]] = ("folder", "scores")

    folder: str
    scores: str = ""
    port: Annotated[int, Field(ge=0, le=65535)] = 8321  # 0: any that is free
    host: str = LOCAL[0]  # another than this one lets others read all that lies there


def roots(arguments: Arguments) -> list[Path]:
    """The folders to show."""
    first = Path(arguments.folder).expanduser()
    if arguments.scores:
        return [first, Path(arguments.scores).expanduser()]
    beside = first.resolve().parent / "scores"
    return [first, *([beside] if beside.is_dir() and beside != first.resolve() else [])]


class Server(uvicorn.Server):
    """Says where it is as soon as it can be asked."""

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        for server in self.servers:
            host, port, *_ = server.sockets[0].getsockname()
            print(f"http://{f'[{host}]' if ':' in host else host}:{port}/  (Ctrl-C ends it)", flush=True)


def main(words: list[str]) -> None:
    arguments = Arguments.parse(words)
    hosts = ["127.0.0.1", "localhost", "[::1]"] if arguments.host in LOCAL else ["*"]
    config = uvicorn.Config(
        app(Folders(roots(arguments)), hosts), arguments.host, arguments.port, log_level="critical", access_log=False
    )
    server = Server(config)
    try:
        server.run()
    except SystemExit as error:  # uvicorn's way to say that the port is taken
        raise RunError(f"host={arguments.host} port={arguments.port} cannot be used; name another port") from error


if __name__ == "__main__":
    with script.one_sentence("ended"):
        main(sys.argv[1:])

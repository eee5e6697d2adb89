"""The verifier as an HTTP service:

    python -m sandbox.serve language=lua,python port=8000

/verify takes jobs as `sandbox.verify` does and answers with verdicts; /run_code and /submit are SandboxFusion's; /docs
shows all. It listens to this machine alone. With host=0.0.0.0 it listens to others too, who must know the token in the
environment variable AGNOSTICS_SERVE_TOKEN. SIGTERM or Ctrl-C ends it once the requests it has are answered.

Arguments: language (required), host, port (0: any that is free), workers (default: one per core), all_tests, queue
(jobs without a verdict; beyond it 429), deadline (seconds of a request), request_mb, grace (seconds that requests get
when it is told to stop), unprotected (true or false).
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import Annotated, ClassVar

import uvicorn
from pydantic import Field

from base.command_line import Command, Names
from base.errors import ConfigError, UserError
from base.settings import Count, Positive
from sandbox import verify
from sandbox.pool import Pool
from sandbox.serve.app import LOCAL, Service, build

TOKEN = "AGNOSTICS_SERVE_TOKEN"


class Words(Command):
    usage: ClassVar[str] = "python -m sandbox.serve language=lua,python port=8000"

    language: Names
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    workers: Count | None = None
    all_tests: bool = False
    queue: Count = Service.queue
    deadline: Positive = Service.deadline_s
    request_mb: Positive = Service.request_mb
    grace: Count = 60
    unprotected: bool = False


def listen(host: str, port: int) -> socket.socket:
    """Raises ConfigError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(found[4][:2], family=found[0], backlog=2048)
    except OSError as error:
        raise ConfigError(f"cannot listen on host={host} port={port} ({error})") from error


def serve(words: Words, token: str | None) -> None:
    """Raises UserError."""
    if not token and words.host not in LOCAL:
        raise ConfigError(f"host={words.host} is open to other machines: set a token in the environment as {TOKEN}")
    arguments = verify.parse_arguments([f"language={','.join(words.language)}", f"all_tests={words.all_tests}"])
    with (
        listen(words.host, words.port) as listener,
        Pool(arguments.languages, words.workers, unprotected=words.unprotected) as pool,
    ):
        service = Service(arguments, pool.workers, token, words.queue, words.deadline, words.request_mb)
        config = uvicorn.Config(
            build(pool, service),
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=words.grace,
            lifespan="off",
        )
        signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn's stop is all that it shall do
        names = ", ".join(words.language)
        host, port = listener.getsockname()[:2]
        print(f"sandbox.serve: {names} on http://{host}:{port}, {pool.workers} workers; see /docs", file=sys.stderr)
        uvicorn.Server(config).run(sockets=[listener])


def main(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if words else 2
    try:
        serve(Words.parse(words), os.environ.get(TOKEN))
    except UserError as error:
        print(f"sandbox.serve: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

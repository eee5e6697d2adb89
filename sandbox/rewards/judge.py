"""Judges a trainer's completions, here or by a service elsewhere; what each adapter stands on.

Where the environment variable AGNOSTICS_VERIFIER holds the address of a `sandbox.serve`, such as
http://any:TOKEN@host:8000, programs run there, and this process needs no jail, no root and no languages. Elsewhere they
run in a pool of this process, one for each language, opened when it is first needed.
"""

from __future__ import annotations

import atexit
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import languages
from sandbox.executor import Executor
from sandbox.job import SandboxError, Status
from sandbox.pool import Pool
from sandbox.verify import Arguments, to_job

ADDRESS = "AGNOSTICS_VERIFIER"
REQUEST_BYTES = 4 << 20  # of the jobs of one request, about
PATIENCE_S = 900.0  # how long a service may be too busy, seconds
TRIES = 3  # for a job that the sandbox itself has failed

_opening = threading.Lock()  # trainers ask from several threads


def statuses(rows: Sequence[dict[str, Any]]) -> list[Status]:
    """The status of each job, given as in `sandbox.verify` without `id`, with `language`.

    INFRASTRUCTURE_ERROR only where several tries have failed. Raises UserError.
    """
    found: dict[int, Status] = {}
    for _ in range(TRIES):
        left = [n for n in range(len(rows)) if found.get(n, Status.INFRASTRUCTURE_ERROR) is Status.INFRASTRUCTURE_ERROR]
        jobs = [{key: value for key, value in rows[n].items() if value is not None} | {"id": str(n)} for n in left]
        address = os.environ.get(ADDRESS)
        found |= dict(zip(left, _ask(address, jobs) if address else _run(jobs), strict=True))
    return [found[n] for n in range(len(rows))]


def _run(jobs: Sequence[dict[str, Any]]) -> list[Status]:
    known = {name: languages.load(name) for name in dict.fromkeys(str(job.get("language")) for job in jobs)}
    futures = []
    for job in jobs:
        language = known[str(job.get("language"))]
        futures.append(_pool(language.name).submit(to_job(job, f"completion {job['id']}", Arguments((language,)))))
    return [future.result().status for future in futures]


def _pool(language: str) -> Executor:
    with _opening:
        return _opened(language)


@cache
def _opened(language: str) -> Executor:
    pool = Pool([languages.load(language)])
    atexit.register(pool.close)
    return pool


def _ask(address: str, jobs: Sequence[dict[str, Any]]) -> list[Status]:
    """The answers of a service, in requests that are small enough for it."""
    found: list[Status] = []
    batch: list[str] = []
    size = 0
    for job in jobs:
        batch.append(json.dumps(job))
        size += len(batch[-1])
        if size > REQUEST_BYTES:
            found += _post(address, batch)
            batch, size = [], 0
    return found + (_post(address, batch) if batch else [])


def _post(address: str, jobs: list[str]) -> list[Status]:
    parts = urlsplit(address)
    request = urllib.request.Request(
        f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}/verify",
        f"[{','.join(jobs)}]".encode(),
        {"content-type": "application/json"},
    )
    if parts.password:
        request.add_header("authorization", f"Bearer {parts.password}")
    gives_up = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return [Status(row["status"]) for row in json.load(answer)]
        except urllib.error.HTTPError as error:
            if error.code == 413 and len(jobs) > 1:  # more than the service's queue holds, or its requests may have
                half = len(jobs) // 2
                return _post(address, jobs[:half]) + _post(address, jobs[half:])
            if error.code != 429 or time.monotonic() > gives_up:
                why = error.read().decode(errors="replace")
                raise SandboxError(f"the verifier at {request.host} answers {error.code}: {why}") from error
        except OSError as error:  # it is being started again, perhaps
            if time.monotonic() > gives_up:
                raise SandboxError(f"the verifier at {request.host} does not answer ({error})") from error
        time.sleep(1)

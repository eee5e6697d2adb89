"""The service under load: many clients, good and hostile programs, and workers that are killed all the time.

    python benchmarks/serve.py clients=64 jobs=10000 kill_every_s=3

Each job has a verdict that is known beforehand. At the end it prints jobs per second and core, and exits with 1 if any
job was lost (no verdict, or an infrastructure error) or judged wrongly.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import httpx2

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from base.command_line import Command  # noqa: E402
from base.errors import UserError  # noqa: E402
from base.settings import Count, Positive  # noqa: E402
from sandbox.rewards.judge import TRIES  # noqa: E402

TESTS = [{"input": str(n), "output": str(n * n)} for n in range(5)]
LIMITS = {"test_s": 1, "wall_s": 2, "memory_mb": 64}
# (weight, verdict, Lua program)
PROGRAMS = (
    (60, "passed", "local n = io.read('n') print(n * n)"),
    (15, "wrong_output", "local n = io.read('n') print(n + n + 1)"),
    (8, "runtime_error", "error('no')"),
    (4, "runtime_error", "print(("),
    (3, "timeout", "while true do end"),
    (3, "timeout", "os.execute('sleep 100')"),
    (3, "output_limit", "while true do io.write(('x'):rep(65536)) end"),
    (2, "memory_limit", "local t = {} while true do t[#t + 1] = ('x'):rep(1e6) .. #t end"),
    (2, "passed", "os.execute('(sleep 100 &) ; :(){ :|:& };:') local n = io.read('n') print(n * n)"),  # a fork bomb
)


class Words(Command):
    usage: ClassVar[str] = "python benchmarks/serve.py clients=64 jobs=10000 kill_every_s=3"

    clients: Count = 64
    jobs: Count = 10_000
    kill_every_s: Positive = 3.0
    seed: int = 0


def make_jobs(count: int, seed: int) -> list[tuple[dict[str, Any], str]]:
    """(job, its verdict); no two programs are equal, so that each is run."""
    chosen = random.Random(seed).choices(PROGRAMS, [weight for weight, _, _ in PROGRAMS], k=count)
    return [
        ({"id": str(n), "program": f"{text} -- {n}", "tests": TESTS, "limits": LIMITS}, verdict)
        for n, (_, verdict, text) in enumerate(chosen)
    ]


async def kill_workers(service: int, every_s: float, killed: list[int]) -> None:
    """SIGKILL for one of the service's own children, again and again; all of them are workers."""
    chance = random.Random(1)
    while True:
        await asyncio.sleep(every_s)
        # of every thread: a worker that replaces another is its own thread's child
        children = [
            pid for file in Path(f"/proc/{service}/task").glob("*/children") for pid in file.read_text().split()
        ]
        if children:
            worker = int(chance.choice(children))
            os.kill(worker, signal.SIGKILL)
            killed.append(worker)


async def load(address: str, jobs: list[tuple[dict[str, Any], str]], clients: int) -> Counter[tuple[str, str]]:
    """How often each (right verdict, verdict) came. A client sends one job, or a few, and tries again after a 429.

    As the adapters for trainers do, it asks again where the sandbox itself has failed, three times in all: a worker may
    be killed more often than the pool tries, while a program spends its time.
    """
    found: Counter[tuple[str, str]] = Counter()
    left = iter(jobs)

    async def client(number: int, web: httpx2.AsyncClient) -> None:
        chance = random.Random(number)
        while batch := list(islice(left, chance.choice((1, 1, 1, 8)))):
            for tries in range(TRIES):
                while True:
                    answer = await web.post(f"{address}/verify", json=[job for job, _ in batch])
                    if answer.status_code != 429:
                        break
                    await asyncio.sleep(chance.random())
                answer.raise_for_status()
                failed = []
                for (job, right), verdict in zip(batch, answer.json(), strict=True):
                    assert verdict["id"] == job["id"]
                    if verdict["status"] == "infrastructure_error" and tries < TRIES - 1:
                        failed.append((job, right))
                    else:
                        found[right, verdict["status"]] += 1
                if not (batch := failed):
                    break

    limits = httpx2.Limits(max_connections=clients)
    async with httpx2.AsyncClient(timeout=None, limits=limits, trust_env=False) as web:
        await asyncio.gather(*(client(n, web) for n in range(clients)))
    return found


async def measure(words: Words, service: subprocess.Popen[str], address: str) -> int:
    jobs, killed = make_jobs(words.jobs, words.seed), list[int]()
    killing = asyncio.create_task(kill_workers(service.pid, words.kill_every_s, killed))
    began = time.perf_counter()
    found = await load(address, jobs, words.clients)
    seconds = time.perf_counter() - began
    killing.cancel()
    wrong = {f"{right} -> {status}": count for (right, status), count in found.items() if right != status}
    cores = len(os.sched_getaffinity(0))
    print(json.dumps({"jobs": found.total(), "lost": words.jobs - found.total(), "wrong": wrong}))
    print(f"{words.clients} clients, {len(killed)} workers killed; {seconds:.1f} s on {cores} cores")
    print(f"{found.total() / seconds / cores:.1f} jobs a second and core, five tests each")
    return 1 if wrong or found.total() < words.jobs else 0


def main(arguments: list[str]) -> int:
    try:
        words = Words.parse(arguments)
    except UserError as error:
        print(f"serve: {error}", file=sys.stderr)
        return 2
    command = [sys.executable, "-m", "sandbox.serve", "language=lua", "port=0"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as service:
        assert service.stderr
        try:
            address = re.search(r"http://\S+:\d+", line := service.stderr.readline())
            if not address:
                raise SystemExit(line)
            return asyncio.run(measure(words, service, address[0]))
        finally:
            service.terminate()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""How soon the live page shows a step of a long run, and how long its pages take (docs/how-to/watch-a-run.md).

    python benchmarks/live.py [steps=10000] [new=20]

Makes a run's folder of so many steps (metrics and rollouts of a stored run, over and over), serves it, and asks for the
run's page as the page itself does: again a second after each answer. Meanwhile new steps are appended, and each one's
delay is the time from its line's being written until an answer shows it. Prints one JSON object, seconds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import ClassVar

import httpx2 as httpx

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from base import script  # noqa: E402
from base.command_line import Command  # noqa: E402
from base.settings import Count  # noqa: E402

STORED = ROOT / "notebooks/data/runs/lua_seed0"
EVERY_S = 1.0  # as study/live/templates/live.js
BETWEEN_S = 3.37  # new steps; no multiple of EVERY_S, so that they come at all phases of it


class Arguments(Command):
    usage: ClassVar[str] = "python benchmarks/live.py steps=10000"

    steps: Count = 10_000
    new: Count = 20


def long_run(folder: Path, steps: int) -> list[str]:
    """A run of so many steps; returns the lines of metrics that it is made of."""
    (folder / "rollouts").mkdir(parents=True)
    shutil.copy(STORED / "config.yaml", folder)
    shutil.copy(STORED / "rollouts/step_000024.parquet", folder.parents[1] / "rollouts.parquet")
    lines = (STORED / "metrics.jsonl").read_text().splitlines()[1:]
    with open(folder / "metrics.jsonl", "w", encoding="utf-8") as out:
        out.writelines(renumbered(lines, step) for step in range(1, steps + 1))
    for step in range(1, steps + 1):
        os.link(folder.parents[1] / "rollouts.parquet", folder / f"rollouts/step_{step:06d}.parquet")
    return lines


def renumbered(lines: list[str], step: int) -> str:
    return json.dumps(json.loads(lines[step % len(lines)]) | {"step": step}) + "\n"


def grow(folder: Path, lines: list[str], first: int, count: int, written: dict[int, float]) -> None:
    """Appends `count` steps, and notes when each was there."""
    for step in range(first, first + count):
        time.sleep(BETWEEN_S)
        os.link(folder.parents[1] / "rollouts.parquet", folder / f"rollouts/step_{step:06d}.parquet")
        with open(folder / "metrics.jsonl", "a", encoding="utf-8") as out:
            out.write(renumbered(lines, step))
        written[step] = time.perf_counter()


def timed(web: httpx.Client, path: str) -> float:
    started = time.perf_counter()
    web.get(path).raise_for_status()
    return time.perf_counter() - started


def main() -> None:
    arguments = Arguments.parse(sys.argv[1:])
    with tempfile.TemporaryDirectory() as scratch:
        runs = Path(scratch) / "runs"
        lines = long_run(runs / "long", arguments.steps)
        command = [sys.executable, "-m", "study.live", str(runs), "port=0"]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as server:
            assert server.stdout
            address = server.stdout.readline().split()[0]
            try:
                print(json.dumps(measure(address, runs / "long", lines, arguments)))
            finally:
                server.terminate()


def measure(address: str, folder: Path, lines: list[str], arguments: Arguments) -> dict[str, object]:
    last = arguments.steps + arguments.new
    with httpx.Client(base_url=address, timeout=60) as web:
        run = "/folder?name=runs/long"
        pages = {"all runs": "/", "the run": run, "a step": f"/table?name=runs/long&table=step_{arguments.steps:06d}"}
        opened = {name: round(timed(web, path), 3) for name, path in pages.items()}  # the first time each
        written: dict[int, float] = {}
        growing = threading.Thread(target=grow, args=(folder, lines, arguments.steps + 1, arguments.new, written))
        growing.start()
        shown: dict[int, float] = {}
        tag = ""
        while last not in shown:
            answer = web.get(run, headers={"If-None-Match": tag} if tag else {})
            now = time.perf_counter()
            if answer.status_code == 200:
                tag = answer.headers["ETag"]
                for step in set(written) - set(shown):
                    if f"step_{step:06d}" in answer.text:
                        shown[step] = now
            time.sleep(EVERY_S)
        growing.join()
    delays = sorted(shown[step] - written[step] for step in shown)
    return {
        "steps": arguments.steps,
        "opened": opened,
        "delay_median": round(median(delays), 2),
        "delay_most": round(delays[-1], 2),
        "within_2_s": sum(delay <= 2 for delay in delays) / len(delays),
    }


if __name__ == "__main__":
    with script.one_sentence("interrupted"):
        main()

"""What one GPU does with this project, part by part. Nothing is downloaded, and all of it takes minutes.

    python benchmarks/gpu_check.py                                  every part, at most 480 seconds together
    python benchmarks/gpu_check.py --parts attention,update         some of them, in this order
    python benchmarks/gpu_check.py --work DIR --out DIR             keep weights (8 GB), runs, results.jsonl, logs
    python benchmarks/gpu_check.py --cpu                            the same parts at toy size, on a CPU

Parts are in order of value. Each is a process of its own with its own time limit, so one that fails or hangs stops no
other; each prints one JSON line: {"part", "ok", "seconds", ..., "error"}. What a part had measured before it failed is
in that line too. Weights are random, of Qwen3-4B's shape, with a tokenizer of bytes stretched to the vocabulary:
they never end a completion, so every step is the longest that the recipe can have, and rewards are drawn by lot.
docs/gpu.md has the predictions that these figures confirm or correct.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from benchmarks.gpu import parts
from benchmarks.gpu.parts import ROOT


@dataclass(frozen=True)
class Part:
    call: Callable[[], None]
    limit_s: float


PARTS = {  # in order of value
    "machine": Part(parts.machine, 60),
    "attention": Part(parts.attention, 90),
    "update": Part(parts.update, 150),
    "sampler": Part(parts.sampler, 200),
    "step": Part(parts.step, 420),  # up to four runs, each of which opens engines
    "scoring": Part(parts.scoring, 60),
    "shard": Part(parts.shard, 120),
    "launcher": Part(parts.launcher, 120),
    "saving": Part(parts.saving, 120),
}


def ran(name: str, limit_s: float, out: Path, environment: dict[str, str]) -> dict[str, Any]:
    """One part in a process of its own; its result."""
    result, log = out / f"{name}.result", out / f"{name}.log"
    result.unlink(missing_ok=True)
    began = time.monotonic()
    with open(log, "w") as file:
        child = subprocess.Popen(
            [sys.executable, __file__, "--part", name], env=environment | {"GPU_CHECK_RESULT": str(result)},
            stdout=file, stderr=file, stdin=subprocess.DEVNULL, start_new_session=True, cwd=ROOT,
        )  # fmt: skip
        try:
            code: int | str = child.wait(limit_s)
        except subprocess.TimeoutExpired:
            code = f"stopped after {limit_s:.0f} s"
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    values: dict[str, Any] = {}
    for line in result.read_text().splitlines() if result.exists() else []:
        values |= json.loads(line)
    found = {"part": name, "ok": code == 0, "seconds": round(time.monotonic() - began, 1), **values}
    if code != 0:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
        found["error"] = f"{code}: " + " | ".join(line[:300] for line in lines[-2:])
    return found


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--parts", default=",".join(PARTS))
    words.add_argument("--limit", type=float, default=480.0, help="seconds, of all parts together")
    words.add_argument("--work", type=Path, help="where weights and runs are kept; without it they are deleted")
    words.add_argument("--out", type=Path, help="results.jsonl and a log for each part; without it, in the work folder")
    words.add_argument("--cpu", action="store_true", help="toy sizes")
    words.add_argument("--part", help=argparse.SUPPRESS)
    options = words.parse_args()
    if options.part:
        PARTS[options.part].call()
        sys.stdout.flush()
        os._exit(0)  # an engine that cannot end is none of a check's business
    names = options.parts.split(",")
    if unknown := set(names) - set(PARTS):
        sys.exit(f"error: no part {unknown.pop()!r}; the parts are {', '.join(PARTS)}")
    if not options.cpu and not torch.cuda.is_available():
        sys.exit("error: this needs an NVIDIA GPU of 80 GB or more; --cpu runs here, at toy size")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        work = (options.work or Path(scratch)).resolve()
        out = (options.out or work).resolve()
        for folder in (work, out):
            folder.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "GPU_CHECK_CPU": str(int(options.cpu)), "GPU_CHECK_WORK": str(work)}
        if options.cpu:
            environment |= {"CUDA_VISIBLE_DEVICES": ""}
        for name in names:
            left = options.limit - (time.monotonic() - began)
            found = {"part": name, "ok": False, "error": "no time left"}
            if left > 5:
                found = ran(name, min(PARTS[name].limit_s, left), out, environment)
            line = json.dumps(found)
            print(line, flush=True)
            with open(out / "results.jsonl", "a") as file:
                file.write(line + "\n")


if __name__ == "__main__":
    main()

"""Runs the parts of a plan: each a sweep over the seeds, several at a time, those that are needed first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Lock

from base.errors import Interrupted, RunError
from base.progress import Progress
from problems.problem import write_jsonl
from problems.starter import splits
from run import run_folder
from study.claims.plan import DATA, PLACE, Part, Plan

ROOT = Path(__file__).parents[2]
DONE = {"train": run_folder.FINISHED, "evaluate": "scores.json"}  # what a script writes last


class Parts:
    """The parts of `plan` in `folder`; what is finished there is not run again."""

    def __init__(self, plan: Plan, folder: Path, at_once: int) -> None:
        self.plan, self.folder, self.at_once = plan, folder.resolve(), at_once
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = Lock()
        self._stopped = False

    def seed_folder(self, part: Part, seed: int) -> Path:
        return self.folder / part.name / f"seed_{seed}"

    def seeds(self, part: Part) -> list[int]:
        return self.plan.seeds if part.seeds is None else part.seeds

    def missing(self, part: Part) -> list[int]:
        """The seeds that are not finished."""
        return [seed for seed in self.seeds(part) if not (self.seed_folder(part, seed) / DONE[part.script]).exists()]

    def command(self, part: Part, seeds: list[int]) -> list[str]:
        """The command line of a sweep over `seeds`."""
        words = [PLACE.sub(lambda place: self._place(part, place[1]), word) for word in self.plan.all_words(part)]
        own = [f"seed={','.join(map(str, seeds))}", f"run_dir={self.folder / part.name}/seed_${{seed}}"]
        if part.script == "train":
            own += [f"runs={self.folder / part.name}", "resume=auto"]
        return [sys.executable, f"{part.script}.py", "-m", *words, *own]

    def _place(self, part: Part, name: str) -> str:
        return str(self.folder / DATA / part.start if name == DATA else self.folder / name)

    def write_data(self) -> None:
        """The problems of each start: those of starter, with the tiers that the plan gives their kinds."""
        for name, start in self.plan.starts.items():
            tier = {kind: tier for tier, kinds in start.kinds.items() for kind in kinds}
            for split, problems in splits().items():
                chosen = [replace(p, tier=tier[kind]) for p in problems if (kind := p.id.split("-")[1]) in tier]
                path = self.folder / DATA / name / f"{split}.jsonl"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_jsonl(path, chosen)

    def run(self) -> dict[str, str]:
        """Runs what is missing; returns why a part could not be finished, by its name. Raises Interrupted."""
        self.write_data()
        futures: dict[str, Future[str]] = {}
        total = sum(len(self.seeds(part)) for part in self.plan.parts)
        done = total - sum(len(self.missing(part)) for part in self.plan.parts)
        with Progress("runs", total, first=done) as progress, ThreadPoolExecutor(self.at_once) as threads:
            try:
                for part in self.plan.parts:  # first come, first served: what a part waits for has begun before it
                    needed = {name: futures[name] for name in sorted(self.plan.needs(part))}
                    futures[part.name] = threads.submit(self._finish, part, needed, progress)
                return {name: why for name, future in futures.items() if (why := future.result())}
            except KeyboardInterrupt as error:
                self._stop()
                for future in futures.values():
                    future.cancel()
                raise Interrupted("interrupted; the same command goes on where each run is") from error

    def _finish(self, part: Part, needed: dict[str, Future[str]], progress: Progress) -> str:
        """Runs the missing seeds of a part; returns the reason where it cannot."""
        if bad := [name for name, future in needed.items() if future.result()]:
            return f"needs {bad[0]}"
        if not (seeds := self.missing(part)):
            return ""
        log = self.folder / "logs" / f"{part.name.replace('/', '-')}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        cores = len(os.sched_getaffinity(0))
        threads = {"OMP_NUM_THREADS": str(max(1, cores // self.at_once)), "OMP_WAIT_POLICY": "PASSIVE"}
        started = time.monotonic()
        with open(log, "ab") as out:
            began = out.tell()  # what earlier tries have said lies before it
            with self._lock:  # _stop would miss a process that starts while it signals the others
                if self._stopped:
                    return ""
                process = subprocess.Popen(
                    self.command(part, seeds), cwd=ROOT, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                    env=os.environ | threads, start_new_session=True,
                )  # fmt: skip
                self._running.add(process)
            process.wait()
            with self._lock:
                self._running.remove(process)
        self._show(progress, part, time.monotonic() - started)
        if not self.missing(part) or self._stopped:
            return ""
        lines = log.read_bytes()[began:].decode(errors="replace").splitlines()
        why = next((line for line in reversed(lines) if line.startswith("error: ")), f"exit code {process.returncode}")
        return f"{why.removeprefix('error: ')} ({log})"

    def _show(self, progress: Progress, part: Part, seconds: float) -> None:
        done = sum(len(self.seeds(one)) - len(self.missing(one)) for one in self.plan.parts)
        progress.show(done, f"{part.name} took {seconds / 60:.1f} min", line=True)

    def _stop(self) -> None:
        """Ends what runs as Ctrl-C would: each run saves a checkpoint."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.send_signal(signal.SIGINT)


def chosen(plan: Plan, names: tuple[str, ...]) -> Plan:
    """The plan with the parts of these names, and those that they need, alone. Raises RunError."""
    known = {part.name: part for part in plan.parts}
    wanted = list(names)
    for name in wanted:
        if name not in known:
            raise RunError(f"parts={name}: there is no such part; they are {', '.join(known)}")
        wanted += [needed for needed in plan.needs(known[name]) if needed not in wanted]
    return plan.model_copy(update={"parts": [part for part in plan.parts if part.name in wanted]})

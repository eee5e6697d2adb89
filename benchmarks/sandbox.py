"""How fast the sandbox judges programs, against running them with no protection at all. About three minutes:

    python benchmarks/sandbox.py
    python benchmarks/sandbox.py rounds=9 programs=200 languages=lua,python,php,perl,bash,r

Four ways of running the same programs with 5 tests each, one core for everything, alternating rounds, medians of
programs per second by wall clock:

    bare      subprocess.run for each test, no isolation and no deadline, inside the same root file system
    per job   a new nsjail for each program
    harness   the paper's way: a Python process kept warm in a container (the root file system, namespaces and a memory
              cgroup of its own), JSON lines, subprocess.run with a timeout, no cleaning
    ours      the pool, one worker

for each language, `NAME_vs_bare` is ours / bare, and `NAME_first_fails` the speed of programs that fail the first of
their 5 tests, against ours where no program begins as a copy of a runtime (at least 0.95 is the aim);
then the pool again, two workers, and without namespaces, as a container's root and as its user, who is in a simulated
container (at least 0.8 of ours is the aim).

The last line is one JSON object. bare and harness need root (they chroot into the same root file system).
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).parents[1]))

import languages
from base import script
from base.command_line import Command, Names
from base.settings import Count
from benchmarks import container
from sandbox.cgroup import Cgroup
from sandbox.driver import binaries
from sandbox.driver.binaries import Level
from sandbox.jail import ENVIRONMENT, Jail, Toolchain, command
from sandbox.job import Job, Status, Test
from sandbox.pool import Pool, toolchain
from sandbox.rootfs import pack_root

TESTS = tuple(Test(str(n), str(n * (n + 1) // 2)) for n in (1, 10, 100, 1000, 2000))
PROGRAMS = {  # {n} makes every program another one, so that nothing is judged only once
    "lua": "local n = io.read('*n') local s = 0 for i = 1, n do s = s + i end print(s) -- {n}",
    "fortran": "program p\n integer :: n, i, s\n read *, n\n s = 0\n do i = 1, n\n s = s + i\n end do\n"
    " print '(I0)', s ! {n}\nend program",
    "r": "n <- as.integer(readLines('stdin', 1)); cat(sum(as.numeric(1:n)), '\\n') # {n}",
    "julia": "n = parse(Int, readline()); println(sum(1:n)) # {n}",
    "ocaml": "let () = let n = read_int () in print_int (n * (n + 1) / 2) (* {n} *)",
    "python": "n = int(input()); print(sum(range(n + 1))) # {n}",
    "php": "<?php $n = (int) fgets(STDIN); for ($s = 0, $i = 1; $i <= $n; $i++) $s += $i; echo $s, PHP_EOL; // {n}",
    "perl": 'my $n = <STDIN>; my $s = 0; $s += $_ for 1 .. $n; print "$s\\n"; # {n}',
    "bash": "read -r n; echo $((n * (n + 1) / 2)) # {n}",  # a loop would be most of its time
}
NEW_PID, NEW_IPC, NEW_UTS, NEW_NET = 0x20000000, 0x08000000, 0x04000000, 0x40000000  # CLONE_NEW* of sched.h
SHARE = {
    "lua": 1.0,
    "perl": 0.5,
    "bash": 0.5,
    "python": 0.25,
    "php": 0.25,
    "fortran": 0.1,
}  # of programs=; slow starters get fewer


def jobs(language: str, count: int, start: int) -> list[Job]:
    return [
        Job(str(n), language, PROGRAMS[language].replace("{n}", str(n)), TESTS) for n in range(start, start + count)
    ]


def refused(jobs: list[Job]) -> list[Job]:
    """The same programs; their first outputs count as wrong."""
    return [replace(job, tests=(job.tests[0]._replace(output="another"), *job.tests[1:])) for job in jobs]


# --- the two ways without a sandbox: a child process that has entered the root file system ----------------------


def enter(root: str) -> None:
    """Makes the root file system this process's own, with a tmpfs on its /tmp, in a mount namespace."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(result: int, what: str) -> None:
        if result:
            raise OSError(ctypes.get_errno(), what)

    call(libc.unshare(0x00020000), "unshare")
    call(libc.mount(None, b"/", None, 0x44000, None), "private mounts")
    call(libc.mount(b"tmpfs", f"{root}/tmp".encode(), b"tmpfs", 0, None), "tmpfs")
    call(libc.mount(b"/dev", f"{root}/dev".encode(), None, 0x5000, None), "bind /dev")
    os.chroot(root)
    os.chdir("/tmp")
    os.environ.clear()
    os.environ.update(ENVIRONMENT, HOME="/tmp", TMPDIR="/tmp")


def bare(end: Connection, chain: Toolchain) -> None:
    """Serves: a list of jobs in, the seconds that they took out."""
    enter(chain.root)
    while batch := end.recv():
        start = time.perf_counter()
        for job in batch:
            judge(chain, job.program, job.tests, None)
        end.send(time.perf_counter() - start)


def contain(cgroup: Cgroup | None) -> None:
    """What a container engine does beyond the file system: a memory limit; pid, ipc, uts and network namespaces."""
    if cgroup:
        cgroup.limit(1024)
        (cgroup.path / "cgroup.procs").write_text("0")
    if ctypes.CDLL(None, use_errno=True).unshare(NEW_PID | NEW_IPC | NEW_UTS | NEW_NET):
        raise OSError(ctypes.get_errno(), "unshare")
    if child := os.fork():  # only a child is in the new pid namespace
        os.waitpid(child, 0)
        os._exit(0)


def harness(end: Connection, chain: Toolchain, cgroup: Cgroup | None) -> None:
    """The warm harness itself: one JSON line in, one out. It finds its expected outputs in the line."""
    contain(cgroup)
    enter(chain.root)
    with os.fdopen(os.dup(end.fileno()), "rb") as lines, os.fdopen(os.dup(end.fileno()), "wb") as answers:
        for line in lines:
            if not (task := json.loads(line)):
                return
            judge(chain, task["program"], [Test(**test) for test in task["tests"]], 5)
            answers.write(json.dumps({"passed": True}).encode() + b"\n")
            answers.flush()


def judge(chain: Toolchain, program: str, tests: Any, timeout: float | None) -> None:
    Path(chain.filename).write_text(program)
    if chain.compile:
        subprocess.run(command(chain.compile), check=True, capture_output=True, timeout=timeout)
    argv = command(chain.execute)
    for test in tests:
        done = subprocess.run(argv, input=test.input.encode(), capture_output=True, timeout=timeout)
        assert done.stdout.decode().rstrip() == test.output and done.returncode == 0, done


class Bare:
    def __init__(self, chain: Toolchain):
        self.end, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(target=bare, args=(theirs, chain), daemon=True)
        self.process.start()

    def __call__(self, batch: list[Job]) -> float:
        self.end.send(batch)
        return float(self.end.recv())


class Harness:
    def __init__(self, chain: Toolchain):
        self.end, theirs = multiprocessing.Pipe()
        self.cgroup = Cgroup.create(f"{os.getpid()}-harness-{chain.language}")
        arguments = (theirs, chain, self.cgroup)
        self.process = multiprocessing.get_context("fork").Process(target=harness, args=arguments)
        self.process.start()
        theirs.close()
        self.answers = os.fdopen(os.dup(self.end.fileno()), "rb")

    def __call__(self, batch: list[Job]) -> float:
        start = time.perf_counter()
        for job in batch:
            task = {"program": job.program, "tests": [test._asdict() for test in job.tests]}
            os.write(self.end.fileno(), json.dumps(task).encode() + b"\n")
            assert json.loads(self.answers.readline())["passed"]
        return time.perf_counter() - start

    def close(self) -> None:
        os.write(self.end.fileno(), b"{}\n")
        self.answers.close()
        self.process.join()
        if self.cgroup:
            self.cgroup.remove()


# --- the two ways with one ----------------------------------------------------------------------------------------


class PerJob:
    """A new nsjail for each program."""

    def __init__(self, chain: Toolchain):
        self.chain = chain
        self.cgroup = Cgroup.create(f"{os.getpid()}-benchmark")

    def __call__(self, batch: list[Job]) -> float:
        start = time.perf_counter()
        for job in batch:
            jail = Jail(self.chain, 99, self.cgroup, binaries.find())
            runs = list(jail.run(job.program or "", [test.input for test in job.tests], self.chain.limits))
            assert all(run.status is None for run in runs)
            jail.close()
        return time.perf_counter() - start

    def close(self) -> None:
        if self.cgroup:
            self.cgroup.remove()


def pooled(pool: Pool, made: Callable[[list[Job]], list[Job]] = list) -> Callable[[list[Job]], float]:
    def run(batch: list[Job]) -> float:
        batch = made(batch)
        status = Status.PASSED if made is list else Status.WRONG_OUTPUT
        start = time.perf_counter()
        verdicts = pool.verify(batch)
        seconds = time.perf_counter() - start
        wrong = [v for v in verdicts if v.status is not status]
        assert not wrong, wrong[0]
        return seconds

    return run


class ContainerUser:
    """A pool of an ordinary user, in a simulated container: without namespaces, cgroups and capabilities."""

    def __init__(self, language: str):
        self.folder = tempfile.TemporaryDirectory(dir="/tmp")
        cache = Path(self.folder.name, "cache")
        cache.mkdir()
        os.chmod(self.folder.name, 0o755)
        pack_root(language, cache / "root.tar")
        shutil.chown(cache, container.USER, container.USER)
        home = Path(__file__).parents[1]
        given: dict[str, Any] = {
            "cwd": home,
            "env": os.environ | {"AGNOSTICS_CACHE": str(cache), "HOME": str(cache), "PYTHONPATH": str(home)},
            "stderr": subprocess.DEVNULL,
        }
        inside = [*container.command("user"), sys.executable]
        fetch = [*inside, "-m", "sandbox.rootfs", "import", str(cache / "root.tar")]
        subprocess.run(fetch, check=True, stdout=subprocess.DEVNULL, **given)
        serve = "import benchmarks.sandbox, sys; benchmarks.sandbox.serve_as_user(sys.argv[1])"
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([*inside, "-c", serve, language], **pipes, **given)
        self.language = language

    def __call__(self, batch: list[Job]) -> float:
        assert self.process.stdin and self.process.stdout
        print(len(batch), batch[0].id, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def close(self) -> None:
        self.process.communicate("")
        self.folder.cleanup()


def serve_as_user(language: str) -> None:
    """Judges as many jobs as each line says, from a number on, and answers with the seconds that it took."""
    with Pool([languages.load(language)], workers=1, level=Level.CONTAINER_USER) as pool:
        for line in sys.stdin:
            print(pooled(pool)(jobs(language, *map(int, line.split()))), flush=True)


def speeds(ways: dict[str, Callable[[list[Job]], float]], language: str, rounds: int, count: int) -> dict[str, float]:
    """Programs per second of each way: the median of the rounds, which take turns."""
    for way in ways.values():
        way(jobs(language, 2, 10**6))  # caches warm, processes started
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            found[name].append(count / way(jobs(language, count, number * count)))
    return {name: statistics.median(values) for name, values in found.items()}


def first_fails(chain: Toolchain, rounds: int, count: int) -> float:
    """How fast programs that fail their first test are, against the same ones where none begins as a runtime's copy."""
    with Pool([chain], workers=1) as pool, Pool([replace(chain, warm=False)], workers=1) as plain:
        ways = {"ours": pooled(pool, refused), "plain": pooled(plain, refused)}
        speed = speeds(ways, chain.language, rounds, count)
    return speed["ours"] / speed["plain"]


def tree_mb(pid: int) -> float:
    """Proportional set size of a process and all below it, MiB: a page shared by n processes counts 1/n."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except ProcessLookupError:  # the init of the last program, just gone
        return 0.0
    total = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        total += sum(tree_mb(int(child)) for child in task.read_text().split())
    return total


class Arguments(Command):
    usage: ClassVar[str] = "python benchmarks/sandbox.py rounds=7 programs=100 languages=lua,fortran"

    rounds: Count = 7
    programs: Count = 100
    languages: Names = ("lua", "fortran")


def main(words: list[str]) -> None:
    arguments = Arguments.parse(words)
    rounds, programs, names = arguments.rounds, arguments.programs, arguments.languages
    if os.geteuid():
        sys.exit("bare and harness chroot into the root file system: run this as root")
    cores = sorted(os.sched_getaffinity(0))
    result: dict[str, float | None] = dict.fromkeys(
        (
            *(f"{name}_{what}" for name in names for what in ("vs_bare", "first_fails")),
            *("lua_vs_warm_harness", "two_workers", "container_root", "container_user", "p99_ms", "mb_per_worker"),
        )
    )
    print(f"programs/s on one core, 5 tests each, median of {rounds} rounds; load {os.getloadavg()[0]:.1f}")
    print(
        f"{'':12}{'bare':>10}{'per job':>10}{'harness':>10}{'ours':>10}{'ours/bare':>12}{'first fails':>13}", flush=True
    )
    for name in names:
        os.sched_setaffinity(0, {cores[-1]})
        chain = toolchain(languages.load(name))
        per_job, warm = PerJob(chain), Harness(chain)
        with Pool([chain], workers=1) as pool:
            ways: dict[str, Callable[[list[Job]], float]] = {
                "bare": Bare(chain),
                "per job": per_job,
                "harness": warm,
                "ours": pooled(pool),
            }
            count = max(3, int(programs * SHARE.get(name, 0.05)))
            speed = speeds(ways, name, rounds, count)
        per_job.close()
        warm.close()
        ratio = speed["ours"] / speed["bare"]
        failing = first_fails(chain, rounds, 2 * count)
        line = "".join(f"{speed[way]:10.1f}" for way in ways)
        print(f"{name:12}{line}{ratio:12.2f}{failing:13.2f}", flush=True)
        result[f"{name}_vs_bare"], result[f"{name}_first_fails"] = round(ratio, 3), round(failing, 3)
        if name == "lua":
            result["lua_vs_warm_harness"] = round(speed["ours"] / speed["harness"], 2)
        os.sched_setaffinity(0, cores)

    lua = toolchain(languages.load("lua"))
    with Pool([lua], workers=1) as one, Pool([lua], workers=2) as two:
        if len(cores) > 1:
            os.sched_setaffinity(0, cores[-2:])
            speed = speeds({"one": pooled(one), "two": pooled(two)}, "lua", rounds, programs)
            result["two_workers"] = round(speed["two"] / speed["one"], 2)
            print(f"one worker {speed['one']:.0f}, two workers {speed['two']:.0f} programs/s")
            os.sched_setaffinity(0, cores)
        time.sleep(0.5)  # the inits wait for the next jobs
        result["mb_per_worker"] = round(statistics.mean(tree_mb(w.process.pid) for w in two._workers), 1)
    os.sched_setaffinity(0, {cores[-1]})
    user = ContainerUser("lua")
    with (  # all without a cgroup, as a container has none
        Pool([lua], workers=1, use_cgroups=False, level=Level.NAMESPACES) as one,
        Pool([lua], workers=1, use_cgroups=False, level=Level.CONTAINER_ROOT) as other,
    ):
        speed = speeds({"with": pooled(one), "root": pooled(other), "user": user}, "lua", rounds, programs)
        for who in ("root", "user"):
            result[f"container_{who}"] = round(speed[who] / speed["with"], 2)
        print(f"with namespaces {speed['with']:.0f}, as a container's root {speed['root']:.0f}, ", end="")
        print(f"as its user {speed['user']:.0f} programs/s")
        user.close()
        os.sched_setaffinity(0, cores)
    with Pool([lua], workers=1) as one:
        times = []
        for n in range(500):
            start = time.perf_counter()
            (verdict,) = one.verify([Job(str(n), "lua", f"-- {n}", (Test("", ""),))])
            times.append((time.perf_counter() - start) * 1000)
            assert verdict.passed
        result["p99_ms"] = round(statistics.quantiles(times, n=100)[98], 2)
        print(f"an empty job: median {statistics.median(times):.2f} ms, p99 {result['p99_ms']} ms")
    print(f"memory of a worker with nsjail and driver (PSS): {result['mb_per_worker']} MB")
    print(json.dumps(result))


if __name__ == "__main__":
    with script.one_sentence("interrupted"):
        main(sys.argv[1:])

"""No right program is refused for what is ours: a busy machine, many tests, a deep recursion, the caller's shell."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from base.limits import Limits
from sandbox.cgroup import Cgroup
from sandbox.check import may_exceed_hard_limits
from sandbox.driver.binaries import Binaries
from sandbox.driver.messages import CPU
from sandbox.jail import Jail, Toolchain
from sandbox.job import Job, Status, Test
from sandbox.pool import Pool
from sandbox.worker import Setup, Worker

REPOSITORY = Path(__file__).parents[2]
LIMITS = Limits(memory_mb=256)


@pytest.fixture(scope="module", params=["cgroup", "rlimit"])
def pool(request: pytest.FixtureRequest, lua: Toolchain, shell: Toolchain) -> Iterator[Pool]:
    unpack = "base64 -d program.b64 > program && chmod +x program"
    binary = replace(lua, language="c", filename="program.b64", compile=unpack, execute="./program")
    chains = [replace(chain, limits=LIMITS) for chain in (lua, shell, binary)]
    with Pool(chains, workers=2, use_cgroups=request.param == "cgroup") as pool:
        yield pool


def c(folder: Path, source: str, tests: int = 1) -> Job:
    """A job for a C program, compiled here: on Lua's root there is no compiler. It prints `right`."""
    (folder / "program.c").write_text("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n" + source)
    subprocess.run(["gcc", "-w", "-O1", "-pthread", "-o", "program", "program.c"], cwd=folder, check=True)
    return Job("c", "c", base64.encodebytes((folder / "program").read_bytes()).decode(), (Test("", "right"),) * tests)


# --- time


@pytest.fixture
def busy() -> Iterator[None]:
    """Three neighbours for each core, in sessions of their own: the scheduler gives each session an equal share."""
    loop = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    neighbours = [
        subprocess.Popen(loop, start_new_session=True, stdout=subprocess.PIPE)
        for _ in range(3 * len(os.sched_getaffinity(0)))
    ]
    for neighbour in neighbours:
        assert neighbour.stdout
        neighbour.stdout.readline()  # it has begun
    yield
    for neighbour in neighbours:
        neighbour.kill()
        neighbour.wait()


def test_a_busy_machine_refuses_no_right_program(pool: Pool, busy: None) -> None:
    works = "while os.clock() < 0.5 do end print('right')"
    limits = replace(LIMITS, test_s=0.8)
    jobs = [Job(f"{n}", "lua", f"{works} -- {n}", (Test("", "right"),), limits=limits) for n in range(4)]
    verdicts = pool.verify(jobs)
    assert [verdict.status for verdict in verdicts] == [Status.PASSED] * 4, verdicts
    assert max(verdict.tests[0].wall_s for verdict in verdicts) > limits.test_s, "the neighbours did not disturb"


@pytest.mark.parametrize(
    ("program", "limits", "said"),
    [
        ("while :; do :; done", {"test_s": 0.3}, r"test 1 met its limit of CPU time \(limits.test_s=0.3\)"),
        ("(while :; do :; done) & sleep 60", {"test_s": 0.3}, r"test 1 met its limit of CPU time"),
        ("sleep 60", {"wall_s": 0.4}, r"test 1 met its limit of wall-clock time \(limits.wall_s=0.4 and 10 times the "),
        ("sleep 60", {"program_s": 3}, r"test 1 met .* of the whole program \(limits.program_s=3\)"),
    ],
)
def test_a_timeout_says_which_deadline_it_met(pool: Pool, program: str, limits: dict[str, float], said: str) -> None:
    tests = (Test("0\n", ""), Test("1\n", ""))
    job = Job("x", "sh", f"read n; [ $n = 0 ] && exit; {program}", tests, limits=replace(LIMITS, **limits))  # type: ignore[arg-type]
    (verdict,) = pool.verify([job])
    assert verdict.status is Status.TIMEOUT and re.match(said, verdict.message), verdict
    assert verdict.tests[1].wall_s < 60


def test_a_compilers_timeout_says_so_too(lua: Toolchain) -> None:
    for line, limits, said in (
        (
            "while :; do :; done",
            Limits(compile_s=0.3),
            r"the compiler met its limit of CPU time \(limits.compile_s=",
        ),
        ("sleep 60", Limits(program_s=0.3), r"the compiler met .* whole program \(limits.program_s=0.3\)"),
    ):
        with Pool([replace(lua, compile=line, limits=limits)], workers=1) as pool:
            (verdict,) = pool.verify([Job("x", "lua", "", (Test("", ""),))])
        assert verdict.status is Status.TIMEOUT and re.match(said, verdict.message), verdict


def test_children_count_in_what_is_reported(pool: Pool) -> None:
    loop = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done"
    orphaned = f"mkfifo done; ( ({loop}; echo >done) & ); read _ <done"
    alone, orphan = pool.verify(Job(program, "sh", program, (Test("", ""),)) for program in (loop, orphaned))
    assert alone.passed and orphan.passed
    assert orphan.tests[0].cpu_s > 0.5 * alone.tests[0].cpu_s > 0.005


@pytest.fixture(params=["cpuacct.usage", "cpu.stat", "proc"])
def clock(request: pytest.FixtureRequest) -> Iterator[Cgroup | None]:
    """Each of the clocks that the init can read, as far as this machine has them."""
    group = None if request.param == "proc" else Cgroup.create(f"{os.getpid()}-clock")
    mount = re.search(r"^\S+ (\S+) cgroup2 ", Path("/proc/mounts").read_text(), re.MULTILINE)
    if request.param != "proc" and group is None:
        pytest.skip("no memory cgroup can be made here")
    if group and group.version == 1 and request.param == "cpu.stat" and mount:  # a hybrid
        path = Path(mount[1], group.path.name)
        path.mkdir()
        group.paths.append(path)
        os.close(group.cpu or -1)
        group.cpu = os.open(path / "cpu.stat", os.O_RDONLY)
    if group and (group.cpu is None or not os.readlink(f"/proc/self/fd/{group.cpu}").endswith(request.param)):
        group.remove()
        pytest.skip(f"no {request.param} here")
    yield group
    if group:
        group.remove()
        assert not any(path.exists() for path in group.paths)


def test_every_clock_counts_all_processes(clock: Cgroup | None, shell: Toolchain, namespaces: Binaries) -> None:
    jail = Jail(replace(shell, limits=LIMITS), 9, clock, namespaces)
    loop = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done"
    try:
        runs = list(jail.run(f"({loop}) & ({loop}) & wait; echo right", ["", ""], LIMITS))
        (late,) = jail.run("(while :; do :; done) & sleep 60", [""], replace(LIMITS, test_s=0.5))
    finally:
        jail.close()
    assert [run.status for run in runs] == [None, None] and late.code == CPU and late.status is Status.TIMEOUT
    assert 0.5 < runs[0].cpu_s / runs[1].cpu_s < 2 and 0.4 < late.cpu_s < 1.5


@pytest.mark.parametrize(("late", "run"), [("sleep 9", 2), ("sleep 1; while :; do :; done", 3)])  # 1.25 CPU s each
def test_where_every_test_is_run_the_first_timeouts_speak_for_many(
    late: str, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.worker.LOST_S", 3)
    shell = Toolchain("sh", "/", (), "program.sh", None, "sh program.sh", Limits(test_s=1.25, wall_s=2))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        worker = Worker(Setup(0, None, {"sh": shell}, None), ours)
        tests = tuple(Test(str(n), "") for n in range(9))
        verdict = worker.verify(Job("x", "sh", f"read n; [ $n = 0 ] || {{ {late}; }}", tests, all_tests=True))
    assert [test.status for test in verdict.tests] == [Status.PASSED] + [Status.TIMEOUT] * 8
    assert [test.stderr.startswith("not run") for test in verdict.tests] == [False] * (1 + run) + [True] * (8 - run)


@pytest.mark.slow
def test_many_tests_are_no_reason_to_refuse_a_program(pool: Pool) -> None:
    """Seventy seconds in all, of which no test takes more than one."""
    job = Job("x", "sh", "sleep 0.7; cat", tuple(Test(str(n), str(n)) for n in range(100)))
    (verdict,) = pool.verify([job])
    assert verdict.passed and len(verdict.tests) == 100
    assert pool.verify([replace(job, limits=replace(LIMITS, program_s=2))])[0].status is Status.TIMEOUT


# --- the stack

DEEP = """
static int depth(volatile int *above, int left) {
    volatile int here[16] = {*above, left};
    return left ? 1 + depth(here, left - 1) : here[0] * 0;
}
"""


@pytest.mark.parametrize("tests", [1, 3])
def test_a_deep_recursion_passes_as_far_as_memory_goes(pool: Pool, tmp_path: Path, tests: int) -> None:
    """A million calls are about 100 MB; the tests after the first are copies of a loaded process."""
    source = DEEP + 'int main(void) { if (depth((int[]){0}, 1000000) == 1000000) puts("right"); }'
    (verdict,) = pool.verify([c(tmp_path, source, tests)])
    assert verdict.passed and len(verdict.tests) == tests, verdict


def test_large_local_arrays_are_no_fault(pool: Pool, tmp_path: Path) -> None:
    source = "int main(void) { volatile char a[48 << 20]; for (long i = 0; i < sizeof a; i += 4096) a[i] = 1; "
    (verdict,) = pool.verify([c(tmp_path, source + 'puts("right"); }')])
    assert verdict.passed, verdict


def test_recursion_without_end_ends_soon_and_harms_nobody(pool: Pool, tmp_path: Path) -> None:
    job = c(tmp_path, DEEP + "int main(void) { return depth((int[]){0}, -1); }", 2)
    for _ in range(2):
        (verdict,) = pool.verify([job])
        assert verdict.status in (Status.MEMORY_LIMIT, Status.RUNTIME_ERROR), verdict
        assert verdict.tests[0].cpu_s < 5
        assert pool.verify([Job("good", "sh", "echo 1", (Test("", "1"),))])[0].passed


def test_threads_have_stacks_of_the_usual_size(pool: Pool, tmp_path: Path) -> None:
    """A large number as the limit would be the size of each thread's stack: fifty would not find room for theirs."""
    source = """
#include <pthread.h>
static void *work(void *n) { volatile char a[1 << 20]; memset((char *)a, 1, sizeof a); return n; }
int main(void) {
    pthread_t all[50];
    for (long i = 0; i < 50; i++) if (pthread_create(&all[i], NULL, work, (void *)i)) return 1;
    for (long i = 0; i < 50; i++) pthread_join(all[i], NULL);
    puts("right");
}"""
    (verdict,) = pool.verify([c(tmp_path, source)])
    assert verdict.passed, verdict


# --- the caller

SHOWS = "ulimit -a; ulimit -Ha; umask; grep Sig /proc/self/status; trap"


def judged(before: str) -> Any:
    """What a program sees where the verifier is started by a shell that has said `before`."""
    job = {"id": "x", "program": f"os.execute([[{SHOWS}]])", "tests": [{"input": "", "output": "?"}]}
    verifier = f"exec {sys.executable} -m sandbox.verify language=lua workers=1"
    done = subprocess.run(
        ["sh", "-c", f"{before}\n{verifier}"], cwd=REPOSITORY, input=json.dumps(job), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["tests"][0]["stdout"]


@pytest.fixture(scope="module")
def usual() -> Any:
    return judged(":")


@pytest.mark.parametrize(
    "before",
    [
        "ulimit -S -s 256",
        "ulimit -S -s unlimited",
        "ulimit -S -n 100; ulimit -S -f 20; ulimit -S -l 0; ulimit -S -c unlimited",
        "ulimit -S -d 500000; ulimit -S -v 4000000; ulimit -S -t 60",
        "umask 077; trap '' HUP TERM XCPU CHLD PIPE USR1",
        pytest.param(
            "ulimit -H -s 8192; ulimit -H -t 600; ulimit -H -f 9999; ulimit -H -v 4000000",
            marks=pytest.mark.skipif(not may_exceed_hard_limits(), reason="we may not exceed a hard limit here"),
        ),
    ],
)
def test_no_verdict_depends_on_the_callers_shell(before: str, usual: str) -> None:
    assert judged(before) == usual

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path

import pytest

from base.limits import Limits
from sandbox.cgroup import PREFIX, Cgroup
from sandbox.jail import Toolchain
from sandbox.job import Checker, Compare, Job, JobError, SandboxError, Status, Test
from sandbox.pool import Pool

# All on one line, which has to be kept. (Where /dev/zero is no device, in some containers, tail alone would skip it.)
HOG = "head -c 500000000 /dev/zero | tail -n 1"


def sh(program: str | None, *tests: tuple[str, str], language: str = "sh", job_id: str = "job", **more: object) -> Job:
    return Job(job_id, language, program, tuple(Test(*t) for t in tests or [("", "")]), **more)  # type: ignore[arg-type]


def children(pid: int) -> list[int]:
    """All processes below, nearest first."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *children(child)]
    return found


def eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def test_every_status(pool: Pool) -> None:
    quick = Limits(test_s=0.3, wall_s=0.3, program_s=3, memory_mb=64, output_mb=1)
    expected = {
        Status.PASSED: sh("cat", ("a\n", "a"), ("b", "b\n")),
        Status.WRONG_OUTPUT: sh("echo 1", ("", "2")),
        Status.RUNTIME_ERROR: sh("echo 1; exit 1", ("", "1")),
        Status.COMPILE_ERROR: sh("if", ("", ""), language="compiled"),
        Status.TIMEOUT: sh("sleep 9", limits=quick),
        Status.OUTPUT_LIMIT: sh("yes", limits=replace(quick, test_s=3)),
        Status.MEMORY_LIMIT: sh(HOG, limits=replace(quick, test_s=3)),
        Status.NO_PROGRAM: sh(None),
    }
    verdicts = pool.verify(expected.values())
    assert [v.status for v in verdicts] == list(expected)
    assert verdicts[2].tests[0].exit_code == 1
    assert verdicts[3].tests == () and verdicts[3].compile and "program.sh" in verdicts[3].compile.stderr


def test_compiling_happens_once_and_its_product_runs(pool: Pool) -> None:
    (verdict,) = pool.verify([sh("#!/bin/sh\ncat", ("1", "1"), ("2", "2"), language="compiled")])
    assert verdict.passed and verdict.compile and verdict.compile.status is Status.PASSED
    (gone,) = pool.verify([sh("#!/bin/sh\ncat; rm built", ("1", "1"), ("2", "2"), language="compiled")])
    assert [t.status for t in gone.tests] == [Status.PASSED, Status.RUNTIME_ERROR]


def test_the_first_failing_test_is_the_last_unless_all_are_asked_for(pool: Pool) -> None:
    tests = [("1", "1"), ("2", "x"), ("3", "3"), ("4", "y")]
    stopped, whole = pool.verify([sh("cat", *tests), sh("cat", *tests, all_tests=True)])
    assert [t.status.value for t in stopped.tests] == ["passed", "wrong_output"]
    assert [t.status.value for t in whole.tests] == ["passed", "wrong_output", "passed", "wrong_output"]
    assert stopped.status is whole.status is Status.WRONG_OUTPUT


def test_expected_outputs_never_enter_the_jail(pool: Pool) -> None:
    search = "grep -rl hidden[-]answer /tmp /proc/self/environ /proc/1 2>/dev/null; echo searched"
    (verdict,) = pool.verify([sh(search, ("", "hidden-answer"))])
    assert verdict.tests[0].stdout == "searched\n"


def test_output_that_is_no_text_is_judged_all_the_same(pool: Pool) -> None:
    (verdict,) = pool.verify([sh("printf '\\377\\000ok'", ("", "\ufffd\0ok"))])
    assert verdict.passed


def test_a_program_cannot_write_its_own_verdict(pool: Pool) -> None:
    # zeros and a perfect result message on every descriptor that it can find
    forge = "for fd in 1 2 3 4 5 6 7 8 9; do head -c 400 /dev/zero >&$fd; done 2>/dev/null; printf 'RGAJ'; exit 0"
    forged, honest = pool.verify([sh(forge, ("", "right")), sh("echo right", ("", "right"))])
    assert forged.status is Status.WRONG_OUTPUT and honest.passed


CHECKER = """
read want < input.txt; read got < output.txt; read ref < reference.txt
[ "$want" = in ] && [ "$ref" = ref ] || exit 3
read in; [ "$in" = "$got" ] || exit 4
[ "$got" = good ]
"""


def test_a_checker_judges(pool: Pool) -> None:
    compare = Compare("checker", checker=Checker("sh", CHECKER))
    right, wrong, crashed = pool.verify(
        [
            sh("echo good", ("in\n", "ref"), compare=compare),
            sh("echo bad", ("in\n", "ref"), compare=compare),
            sh("exit 1", ("in\n", "ref"), compare=compare),
        ]
    )
    assert [right.status, wrong.status, crashed.status] == [
        Status.PASSED,
        Status.WRONG_OUTPUT,
        Status.RUNTIME_ERROR,
    ]
    assert right.tests[0].stdout == "good\n"


def test_a_checker_in_the_candidates_own_language_judges_every_test(pool: Pool) -> None:
    compare = Compare("checker", checker=Checker("sh", "cmp -s output.txt reference.txt"))
    right = sh("cat", ("a", "a"), ("b", "b"), ("c", "c"), compare=compare)
    wrong = sh("cat", ("a", "a"), ("b", "x"), ("c", "c"), compare=compare)
    verdicts = pool.verify([right, wrong, right])
    assert [(v.status, len(v.tests)) for v in verdicts[:2]] == [(Status.PASSED, 3), (Status.WRONG_OUTPUT, 2)]


def test_a_checker_takes_neither_its_candidates_memory_nor_its_time(pool: Pool) -> None:
    """The checker's own limit is 128 MiB; the candidate's files alone are more, and stay while it is judged."""
    compare = Compare("checker", checker=Checker("sh", "sleep 1; cmp -s output.txt reference.txt"))
    limits = Limits(memory_mb=256, file_mb=160, program_s=2.8)
    fills = sh("head -c 150000000 /dev/zero > big && cat", *[(n, n) for n in "abc"], compare=compare, limits=limits)
    (verdict,) = pool.verify([fills])
    assert verdict.passed and len(verdict.tests) == 3, verdict


@pytest.mark.parametrize("program", ["exit 3", "kill -9 $$", "sleep 30"])
def test_a_checkers_own_fault_is_not_the_candidates(pool: Pool, program: str) -> None:
    compare = Compare("checker", checker=Checker("sh", program))
    (verdict,) = pool.verify([sh("echo 1", ("", "1"), compare=compare)])
    assert verdict.status is Status.INFRASTRUCTURE_ERROR
    assert "checker" in verdict.message


def test_an_output_that_breaks_the_checker_is_wrong(pool: Pool) -> None:
    """Else a program could get rid of a zero by printing what its checker cannot read."""
    breaks = 'read got; case $got in bomb) kill -9 $$;; sleep) sleep 30;; esac; [ "$got" = good ]'
    compare = Compare("checker", checker=Checker("sh", breaks))
    killed, slow = pool.verify([sh(f"echo {w}", ("in\n", "good"), compare=compare) for w in ("bomb", "sleep")])
    assert killed.status is slow.status is Status.WRONG_OUTPUT
    assert "the checker failed" in killed.tests[0].stderr


def test_what_does_not_fit_into_the_jail_is_said(pool: Pool) -> None:
    """A program is at fault for its own size, a data set for that of its tests."""
    limits = Limits(memory_mb=64)
    (verdict,) = pool.verify([sh("#" * (50 << 20), ("", ""), limits=limits)])
    assert verdict.status is Status.MEMORY_LIMIT and "50 MiB" in verdict.message
    # what waits for the program to read it is not the program's memory
    large, hog = pool.verify(
        sh(program, ("x" * (100 << 20), f"{100 << 20}"), limits=limits) for program in ("wc -c", "x=$(cat); echo ${#x}")
    )
    # without a cgroup the shell dies of a signal
    assert large.passed and hog.status in (Status.MEMORY_LIMIT, Status.RUNTIME_ERROR), (large, hog)
    assert hog.status is Status.MEMORY_LIMIT or not cgroups()


def test_an_input_that_no_jail_takes_is_refused_by_name(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.executor.INPUT_MB", 2)
    assert pool.verify([sh("wc -c", ("x" * (2 << 20), f"{2 << 20}"))])[0].passed
    with pytest.raises(JobError, match=r"job 'big': the input of test 1 is 3 MiB, and .* no more than 2"):
        pool.submit(sh("true", ("", ""), ("é" * (3 << 19), ""), job_id="big"))


def test_a_checker_in_a_compiled_language(pool: Pool) -> None:
    compare = Compare("checker", checker=Checker("compiled", "#!/bin/sh\ngrep -q good output.txt"))
    good, bad = pool.verify([sh(f"echo {w}", ("", ""), compare=compare) for w in ("good", "bad")])
    assert good.passed and bad.status is Status.WRONG_OUTPUT


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (Job("a", "sh", "true", ()), "'a' has no tests"),
        (Job("a", "perl", "true", (Test("", ""),)), "no language 'perl'; it has compiled, lua, sh"),
        (sh("true", compare=Compare("fuzzy")), "no comparison rule 'fuzzy'"),
        (sh("true", compare=Compare("checker")), "needs a checker program"),
        (sh("true", compare=Compare("checker", checker=Checker("perl", ""))), "no language 'perl'"),
        (sh("true", limits=Limits(test_s=0)), "limit test_s is 0"),
        (sh("true", limits=Limits(program_s=float("nan"))), "limit program_s is nan"),
    ],
)
def test_a_job_that_can_have_no_verdict_is_refused(pool: Pool, job: Job, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pool.submit(job)
    with pytest.raises(ValueError, match=words):
        pool.verify([sh("true"), job])


def test_order_is_kept_and_verdicts_come_as_they_finish(pool: Pool) -> None:
    jobs = [sh(f"sleep 0.{2 - n}; echo {n}", ("", str(n)), job_id=f"j{n}") for n in range(3)]
    assert [v.id for v in pool.verify(jobs)] == ["j0", "j1", "j2"]
    assert sorted((i, v.id) for i, v in pool.as_verified(jobs)) == [(0, "j0"), (1, "j1"), (2, "j2")]


def test_equal_jobs_run_once(pool: Pool) -> None:
    # the time of day in nanoseconds differs whenever the program runs again
    jobs = [sh("date +%N; exit 1", job_id=f"j{n}") for n in range(20)]
    verdicts = pool.verify([*jobs, sh("date +%N; exit 2", job_id="other")])
    assert [v.id for v in verdicts] == [f"j{n}" for n in range(20)] + ["other"]
    assert len({v.tests[0].stdout for v in verdicts[:20]}) == 1
    assert verdicts[20].tests[0].stdout != verdicts[0].tests[0].stdout


@pytest.mark.parametrize("victim", ["python", "nsjail", "driver"])
def test_a_killed_process_is_replaced_and_its_job_tried_again(
    shell: Toolchain, victim: str, request: pytest.FixtureRequest
) -> None:
    if victim == "nsjail":
        request.getfixturevalue("namespaces")
    with Pool([shell], workers=1) as pool:
        assert pool.verify([sh("echo 0", ("", "0"))])[0].passed
        future = pool.submit(sh("sleep 0.5; echo 1", ("", "1")))
        time.sleep(0.2)
        worker = pool.pids[0]
        family = [worker, *children(worker)]
        wanted = [worker] if victim == "python" else [p for p in family if name_of(p).startswith(victim)]
        assert wanted, [name_of(p) for p in family]
        os.kill(wanted[-1], signal.SIGKILL)
        assert future.result(timeout=20).passed
        assert pool.verify([sh("echo 2", ("", "2"))])[0].passed
        assert eventually(lambda: not any(name_of(p) for p in family if p not in children(os.getpid())))


def test_a_job_that_always_breaks_its_worker_is_reported(shell: Toolchain) -> None:
    with Pool([shell, replace(shell, language="absent", execute="no-such-command")], workers=1) as pool:
        broken = pool.verify([sh("true", language="absent")])[0]
        assert broken.status is Status.INFRASTRUCTURE_ERROR
        assert "'job' failed 3 times" in broken.message and "No such file" in broken.message
        assert pool.verify([sh("echo 2", ("", "2"))])[0].passed


def test_a_stopped_worker_does_not_hold_up_a_batch(shell: Toolchain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.pool.GRACE_S", 0.5)
    monkeypatch.setattr("sandbox.pool.STOP_S", 0.2)
    with Pool([shell], workers=1) as pool:
        os.kill(pool.pids[0], signal.SIGSTOP)
        (verdict,) = pool.verify([sh("echo 1", ("", "1"), limits=Limits(program_s=1))])
        assert verdict.passed


def test_closing_leaves_nothing_and_cancels_what_waits(shell: Toolchain) -> None:
    def mounts() -> list[str]:  # those that a jail could have left; other tests may run beside this one
        lines = Path("/proc/mounts").read_text().splitlines()
        return [line for line in lines if " /sys/" in line or shell.root in line]

    before, groups = mounts(), cgroups()
    pool = Pool([shell], workers=2)
    assert pool.verify([sh("echo 1", ("", "1"))])[0].passed
    family = [p for w in pool.pids for p in (w, *children(w))]
    futures = [pool.submit(sh(f"sleep 20 # {n}", limits=Limits(test_s=30))) for n in range(5)]
    start = time.monotonic()
    pool.close()
    pool.close()
    assert time.monotonic() - start < 15  # nobody waits for the programs' 20
    assert not any(Path(f"/proc/{p}").exists() for p in family)
    assert mounts() == before
    assert cgroups() == groups
    for future in futures:
        with pytest.raises(CancelledError):
            future.result(timeout=1)
    with pytest.raises(SandboxError, match="closed"):
        pool.submit(sh("true"))


@pytest.mark.parametrize("how", ["verify", "as_verified"])
def test_closing_wakes_up_who_waits_in_another_thread(shell: Toolchain, how: str) -> None:
    pool = Pool([shell], workers=1)
    jobs = [sh("sleep 20", job_id=str(n), limits=Limits(test_s=30)) for n in range(2)]  # equal: the second is a copy
    seen: list[BaseException] = []

    def wait() -> None:
        try:
            list(getattr(pool, how)(jobs))
        except BaseException as error:
            seen.append(error)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    assert eventually(lambda: bool(pool.pending()))
    pool.close()
    waiting.join(5)
    assert not waiting.is_alive() and isinstance(seen[0], CancelledError)


def test_two_pools_of_one_process_do_not_touch_each_other(pool: Pool, shell: Toolchain) -> None:
    worker = pool.pids[0]
    future = pool.submit(sh("sleep 0.5; echo 1", ("", "1")))
    with Pool([shell], workers=1) as other:
        assert other.verify([sh("echo 2", ("", "2"))])[0].passed
    assert future.result(timeout=10).passed
    assert pool.pids[0] == worker


def test_a_cgroup_left_by_a_dead_pool_is_removed_by_the_next(shell: Toolchain) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = Cgroup.create(f"{dead.pid}-0-0")
    if left is None:
        pytest.skip("no memory cgroup can be made here")
    Pool([shell], workers=1).close()
    assert not left.path.exists()


def cgroups(pid: int | None = None) -> list[Path]:
    """Those of a process's pools. Cgroups of others may vanish meanwhile, which os.walk takes in its stride."""
    found = os.walk("/sys/fs/cgroup")
    name = f"{PREFIX}{pid or os.getpid()}-"
    return sorted(Path(folder, sub) for folder, subs, _ in found for sub in subs if sub.startswith(name))


MAIN = """
import os, sys, time
sys.path.insert(0, {root!r})
from tests.sandbox.test_pool import *
pool = Pool([Toolchain("sh", {jail!r}, (), "program.sh", None, "sh program.sh", Limits(test_s=60))], workers=2)
print(os.getpid(), *pool.pids, flush=True)
with pool:
    pool.verify([sh("sleep 50 # %d" % n) for n in range(4)])
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_or_killed_parent_leaves_no_process(shell: Toolchain, how: signal.Signals) -> None:
    root = str(Path(__file__).parents[2])
    main = subprocess.Popen(
        [sys.executable, "-c", MAIN.format(root=root, jail=shell.root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert main.stdout
    workers = [int(word) for word in main.stdout.readline().split()[1:]]
    assert eventually(lambda: all(len(children(w)) >= 4 for w in workers), 10)
    family = [p for w in workers for p in (w, *children(w))]
    main.send_signal(how)
    main.wait(10)
    assert eventually(lambda: not any(Path(f"/proc/{p}").exists() for p in family))
    assert eventually(lambda: not cgroups(main.pid))


def test_a_worker_imports_little(pool: Pool) -> None:
    maps = Path(f"/proc/{pool.pids[0]}/smaps_rollup").read_text()
    kilobytes = next(int(line.split()[1]) for line in maps.splitlines() if line.startswith("Pss:"))
    assert kilobytes < 20_000


def test_a_fault_of_our_own_is_told_with_its_traceback(shell: Toolchain, capfd: pytest.CaptureFixture[str]) -> None:
    broken = Job("broken", "sh", "true", (Test("", None),))  # type: ignore[arg-type]
    with Pool([shell], workers=1) as pool:
        (verdict,) = pool.verify([broken])
        assert pool.verify([sh("echo 1", ("", "1"))])[0].passed
    assert verdict.status is Status.INFRASTRUCTURE_ERROR and "the worker failed" in verdict.message
    said = capfd.readouterr().err
    assert "Traceback (most recent call last)" in said and "sandbox/compare.py" in said


@pytest.mark.usefixtures("namespaces")  # and so /proc
def test_where_all_cores_work_programs_begin_each_workers_on_its_own(shell: Toolchain) -> None:
    """And may go anywhere: their threads are as fast as ever, and their core counts right."""
    cores = os.sched_getaffinity(0)
    job = sh("grep Cpus_allowed_list /proc/self/status", ("", ""), ("", ""), ("", ""), compare=Compare("exit_code"))
    for workers in {len(cores), 1}:
        wanted = [{core} for core in sorted(cores)] if workers == len(cores) else [cores]
        for chain in (shell, replace(shell, language="dash", execute="dash program.sh", warm=True)):
            with Pool([chain], workers=workers) as pool:
                jobs = [
                    replace(job, id=str(n), language=chain.language, program=f"{job.program} # {n}") for n in range(9)
                ]
                allowed = {test.stdout.split()[-1] for verdict in pool.verify(jobs) for test in verdict.tests}
                below = [pid for worker in pool.pids for pid in children(worker) if name_of(pid).startswith("driver")]
                assert {frozenset(os.sched_getaffinity(pid)) for pid in below} == {*map(frozenset, wanted)}
                assert len(allowed) == 1 and ("-" in min(allowed) or "," in min(allowed)) == (len(cores) > 1)

"""The jail under a pool: every status, every limit, and what is left for the next program."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from base.limits import Limits
from sandbox.cgroup import Cgroup
from sandbox.driver import binaries
from sandbox.driver.binaries import Binaries
from sandbox.driver.messages import CPU, PROGRAM, WALL
from sandbox.jail import AHEAD_CHARACTERS, Jail, Run, Toolchain, command, ran_out_of_memory
from sandbox.job import Status


def run(jail: Jail, program: str, stdin: str = "", **limits: float) -> Run:
    (only,) = jail.run(program, [stdin], replace(jail.toolchain.limits, **limits))  # type: ignore[arg-type]
    return only


def test_a_program_reads_prints_and_ends(jail: Jail) -> None:
    result = run(jail, "cat; echo told >&2; exit 3", "given\n")
    assert (result.stdout, result.stderr, result.code) == (b"given\n", b"told\n", 3)
    assert result.status is Status.RUNTIME_ERROR
    assert run(jail, "true").status is None
    assert 0 < result.wall_s < 2 and 0 < result.cpu_s < 2 and 0.5 < result.memory_mb < 50


def test_a_signal_is_named(jail: Jail) -> None:
    result = run(jail, "kill -SEGV $$")
    assert result.status is Status.RUNTIME_ERROR and result.code == 11


@pytest.mark.parametrize(
    "program", ["while :; do :; done", "sleep 60", "trap '' TERM; kill -STOP $$", "exec >&- 2>&-; sleep 60"]
)
def test_a_program_without_end_meets_its_deadline(jail: Jail, program: str) -> None:
    spins = program.startswith("while")
    result = run(jail, program, test_s=0.3, wall_s=30 if spins else 0.3)
    assert (result.status, result.code) == (Status.TIMEOUT, CPU if spins else WALL)
    assert result.wall_s < (5 if spins else 1.5)


def test_the_whole_programs_deadline_bounds_its_tests_together(jail: Jail) -> None:
    results = list(jail.run("sleep 1", [""] * 5, replace(jail.toolchain.limits, program_s=2.7)))
    assert [r.status for r in results[:2]] == [None, None]
    assert {(r.status, r.code) for r in results[2:]} == {(Status.TIMEOUT, PROGRAM)}


def test_the_programs_clock_stands_still_while_the_caller_is_at_work(
    jail: Jail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.jail.GRACE_S", 0.2)
    for result in jail.run("sleep 0.1", [""] * 3, replace(jail.toolchain.limits, program_s=1)):
        assert result.status is None
        time.sleep(0.7)  # a checker's, say


@pytest.mark.parametrize("stream", ["", ">&2"])
def test_a_flood_is_cut_off(jail: Jail, stream: str) -> None:
    result = run(jail, f"yes {stream}", test_s=10, program_s=10, output_mb=1)
    assert result.status is Status.OUTPUT_LIMIT
    assert result.wall_s < 5
    assert len(result.stdout) == (0 if stream else 1 << 20)


def test_a_program_that_does_not_wait_for_room_may_print_much_at_once(jail: Jail) -> None:
    """As Node's process.exit() does: what the pipe does not take is lost."""
    printed = run(jail, "dd if=/dev/zero bs=1000000 count=1 oflag=nonblock")
    assert printed.status is None and len(printed.stdout) == 1000000


def test_output_up_to_the_limit_is_whole(jail: Jail) -> None:
    result = run(jail, "head -c 1048576 /dev/zero", output_mb=1)
    assert result.status is None and result.stdout == bytes(1 << 20)
    assert run(jail, "head -c 1048577 /dev/zero", output_mb=1).status is Status.OUTPUT_LIMIT


def test_large_unread_and_binary_input(jail: Jail) -> None:
    big = "x" * 4_000_000
    assert run(jail, "echo done", big).stdout == b"done\n"
    assert run(jail, "exec <&-; echo done", big).stdout == b"done\n"
    assert run(jail, "wc -c", big).stdout.split() == [b"4000000"]
    assert run(jail, "cat", "\0\ud800é").stdout == b"\0?\xc3\xa9"


def test_memory_of_one_process_is_bounded(jail: Jail) -> None:
    # tail keeps the last line, which never ends
    result = run(jail, "tail -n 1 /dev/zero", memory_mb=64, test_s=10, program_s=10)
    assert result.status is Status.MEMORY_LIMIT
    assert result.memory_mb < 90
    assert run(jail, "echo fine").stdout == b"fine\n"


def test_a_tests_peak_memory_is_not_that_of_an_earlier_one(jail: Jail) -> None:
    prints = jail.run('read n; head -c "$n" /dev/zero', ["4000000\n", "1\n"] * 2, jail.toolchain.limits, ahead=True)
    reads = jail.run("cat > /dev/null", ["x" * 8_000_000, "x"] * 2, jail.toolchain.limits)
    small = run(jail, "cat > /dev/null").memory_mb
    for runs in (list(prints), list(reads)):
        assert [result.status for result in runs] == [None] * 4
        assert max(runs[1].memory_mb, runs[3].memory_mb) < small + 1.5


def test_out_of_memory_is_not_said_by_a_compiler_that_quotes_or_a_program_that_went_on(jail: Jail) -> None:
    assert run(jail, "echo MemoryError >&2; exit 1").status is Status.MEMORY_LIMIT
    assert run(jail, "echo MemoryError >&2; sleep 9", wall_s=0.3).status is Status.TIMEOUT
    quotes = Jail(replace(jail.toolchain, compile="cat program.sh >&2; exit 1"), 8, jail.cgroup, binaries.find())
    try:
        for ahead in (False, True):
            compiled = next(quotes.run("error: 'bad_alloc' is no member", [""], jail.toolchain.limits, ahead=ahead))
            assert compiled.status is Status.RUNTIME_ERROR
    finally:
        quotes.close()


@pytest.mark.parametrize(
    ("said", "starved"),
    [
        ("cc1plus: out of memory allocating 65536 bytes after a total of 12 bytes", True),
        ("\nvirtual memory exhausted: Cannot allocate memory", True),
        ("/usr/bin/ld: final link failed: memory exhausted", True),
        ("fatal error: runtime: out of memory", True),
        ("ghc: out of memory (requested 1048576 bytes)", True),
        ("Error occurred during initialization of VM\nCould not reserve enough space for object heap", True),
        ("program.cpp:1:37: error: 'bad_alloc' is not a member of 'std'", False),
        ("program.c:1:2: error: #error out of memory\n    1 | #error out of memory", False),
        ("program.java:3: error: incompatible types\n        throw new OutOfMemoryError();", False),
    ],
)
def test_what_a_compiler_says_of_its_own_memory(said: str, starved: bool) -> None:
    assert ran_out_of_memory(b"", said.encode(), compiling=True) is starved


def test_memory_of_many_processes_together_needs_the_cgroup(jail: Jail) -> None:
    if jail.cgroup is None:
        pytest.skip("RLIMIT_AS bounds each process alone")
    fill = "for i in 1 2 3 4; do (head -c 30000000 /dev/zero | tail -n 1 | wc -c) & done; wait; sleep 1; exit 1"
    assert run(jail, fill, memory_mb=64, test_s=20, program_s=20).status is Status.MEMORY_LIMIT


def test_processes_files_and_disk_are_bounded(jail: Jail) -> None:
    assert b"annot fork" in run(jail, "i=0; while [ $i -lt 50 ]; do sleep 5 & i=$((i+1)); done", processes=20).stderr
    big = run(jail, "head -c 3000000 /dev/zero > big; s=$?; wc -c < big; exit $s", file_mb=1)
    assert big.stdout.split() == [b"1048576"] and big.code != 0
    given = run(jail, "#" * (2 << 20) + "\nwc -c < program.sh", file_mb=1)  # what it is given is not the program's
    assert given.stdout.split() == [b"2097171"]
    full = run(jail, "for i in 1 2 3 4 5 6; do head -c 1000000 /dev/zero > $i; done", disk_mb=4)
    assert b"No space left" in full.stderr
    inodes = run(jail, "i=0; while [ $i -lt 100 ]; do : > $i || exit 9; i=$((i+1)); done", inodes=50)
    assert inodes.code != 0
    assert run(jail, "ulimit -c; ulimit -n").stdout == b"0\n256\n"


def test_nothing_is_left_for_the_next_program(jail: Jail) -> None:
    leave = "echo secret > left; echo secret > /tmp/left; (sleep 60 >/dev/null 2>&1 &); setsid sleep 60 & exit 0"
    assert run(jail, leave).status is None
    look = run(jail, "cat left /tmp/left 2>/dev/null; ls -A /tmp /tmp/w; for p in /proc/[0-9]*; do cat $p/comm; done")
    assert b"secret" not in look.stdout
    assert look.stdout.split() == [b"/tmp:", b"w", b"/tmp/w:", b"program.sh", b"driver", b"sh"]


def test_nothing_outside_the_tmpfs_can_be_written(jail: Jail) -> None:
    tries = "for d in / /dev /proc /proc/self /etc /usr /var /root /home; do : > $d/mark && echo $d; done"
    assert run(jail, f"({tries}) 2>/dev/null; true").stdout == b""
    search = "find / -xdev -writable -not -type l 2>/dev/null; true"
    assert run(jail, search, test_s=20, program_s=20).stdout == b"/tmp\n"


def test_no_privilege_no_network_no_host(jail: Jail) -> None:
    status = run(jail, "cat /proc/self/status; id -u").stdout.decode()
    assert "CapEff:\t0000000000000000" in status and "CapBnd:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
    assert status.endswith("1000\n")
    assert run(jail, "cat /proc/net/dev").stdout.count(b":") == 1  # lo, which is down
    assert run(jail, f"cat /etc/shadow || ls {Path(__file__).parent}").status is Status.RUNTIME_ERROR
    env = dict(line.split("=", 1) for line in run(jail, "env").stdout.decode().splitlines())
    assert set(env) <= {"PATH", "HOME", "TMPDIR", "LC_ALL", "PWD", "OLDPWD", "SHLVL", "_"} | set(
        dict(jail.toolchain.environment)
    )
    assert env["HOME"] == env["TMPDIR"] == "/tmp"


def test_the_init_is_out_of_reach(jail: Jail) -> None:
    assert run(jail, "kill -9 1; kill -STOP 1; kill -9 -1; echo alive").code in (0, -9, 9)
    for path in ("fd", "mem", "environ", "cwd", "root", "maps"):
        # to open is enough: what can be opened can be read, if only at the right place
        tries = "{ ls /proc/%s/%s/ || : < /proc/%s/%s; } > /dev/null 2>&1"
        tries = "; ".join(f"({tries % (pid, path, pid, path)}) && echo open || echo refused" for pid in ("self", "1"))
        assert run(jail, tries).stdout == b"open\nrefused\n", path
    assert run(jail, "ls /proc/self/fd").stdout.split() == [b"0", b"1", b"2", b"3"]  # 3: ls's own
    assert run(jail, "echo 0 > /proc/self/oom_score_adj; cat /proc/self/oom_score_adj").stdout == b"1000\n"
    assert run(jail, "ulimit -u 1; echo fine").stdout == b"fine\n"


def test_the_mount_and_namespace_calls_are_refused(jail: Jail) -> None:
    for call in ("unshare -Ur true", "unshare -n true", "mount -t tmpfs none /tmp", "chroot /tmp true"):
        assert run(jail, call).code != 0


def test_the_jail_is_usable_after_a_generator_is_dropped(jail: Jail) -> None:
    runs = jail.run("cat", ["1", "2", "3"], jail.toolchain.limits)
    assert next(runs).stdout == b"1"
    runs.close()
    assert run(jail, "echo next").stdout == b"next\n"


def test_a_shell_is_started_only_for_shell_lines() -> None:
    assert command("luajit program.lua") == ["luajit", "program.lua"]
    assert command("ocamlfind ocamlopt -package str a.ml -o a && ./a") == [
        "/bin/sh",
        "-c",
        "ocamlfind ocamlopt -package str a.ml -o a && ./a",
    ]
    assert command("X=1 run")[0] == "/bin/sh"
    assert command("python3 -X digits=0 a.py") == ["python3", "-X", "digits=0", "a.py"]
    assert command("exec run")[0] == "/bin/sh"


def test_no_descriptor_or_process_is_left_by_a_jail(shell: Toolchain, namespaces: Binaries) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        jail = Jail(shell, 8, None, namespaces)
        assert run(jail, "echo 1").stdout == b"1\n"
        pid = jail.pid
        jail.close()
        assert not os.path.exists(f"/proc/{pid}")
    assert len(os.listdir("/proc/self/fd")) == before


LOW = """
import os, resource, sys
sys.path.insert(0, {root!r})
from sandbox.driver import binaries
from sandbox.jail import Jail, Toolchain
from base.limits import Limits
open("/proc/self/oom_score_adj", "w").write("300")
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
jail = Jail(Toolchain("sh", {jail!r}, (), "program.sh", None, "sh program.sh", Limits()), 9, None, binaries.find())
program = "ulimit -c; ulimit -n; sleep 0.1; cat /proc/self/oom_score_adj /proc/1/oom_score_adj"
for run in jail.run(program, ["", ""], Limits()):
    print(run.stdout.decode().split())
jail.close()
"""


@pytest.mark.usefixtures("namespaces")
def test_a_jail_works_where_the_machine_allows_less_than_it_asks_for(shell: Toolchain) -> None:
    """As under Kubernetes or systemd: no limit may be raised, and the first score, 300, not be lowered."""
    script = LOW.format(root=str(Path(__file__).parents[2]), jail=shell.root)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("['0', '200', '1000', '300']\n" * 2, "")


def test_the_default_limits_fit_the_driver(jail: Jail) -> None:
    (result,) = jail.run("echo 1", [""], Limits())
    assert result.stdout == b"1\n"


# --- tests that run ahead of the caller ---------------------------------------------------------------------------


def test_running_ahead_gives_what_waiting_gives(jail: Jail) -> None:
    program = "cat; sleep 0.00$(($(od -An -N1 -tu1 /dev/urandom) % 4))"
    inputs, limits = ["a", "", "c\n", "d" * 9000, "e"], jail.toolchain.limits
    outputs = [run.stdout for run in jail.run(program, inputs, limits, ahead=True)]
    assert outputs == [run.stdout for run in jail.run(program, inputs, limits)] == [text.encode() for text in inputs]


def test_running_ahead_ends_with_the_first_failure(jail: Jail) -> None:
    runs = list(
        jail.run('read n; echo "$n"; exit "$n"', ["0\n", "0\n", "3\n", "0\n"], jail.toolchain.limits, ahead=True)
    )
    assert [run.code for run in runs] == [0, 0, 3]
    assert [run.stdout for run in jail.run("cat", ["next"], jail.toolchain.limits, ahead=True)] == [b"next"]


def test_inputs_too_large_to_be_sent_ahead_are_asked_for_one_by_one(jail: Jail) -> None:
    inputs = ["x" * AHEAD_CHARACTERS, "y"]
    runs = jail.run("wc -c", inputs, jail.toolchain.limits, ahead=True)
    assert [int(run.stdout) for run in runs] == [AHEAD_CHARACTERS, 1]


@pytest.mark.parametrize("later", ["sleep 60", "yes", "head -c 3000000 /dev/zero", "true"])
def test_nothing_of_a_program_that_was_stopped_reaches_the_next(jail: Jail, later: str) -> None:
    """The caller has seen enough after the first result, while the second test runs, floods, or has just ended."""
    limits = replace(jail.toolchain.limits, test_s=30, program_s=60)
    for pause in (0, 0.001, 0.003, 0.02) * 5:
        started = time.monotonic()
        runs = jail.run(
            f"read n; if [ $n = 1 ]; then echo first; else {later}; fi", ["1\n"] + ["2\n"] * 3, limits, ahead=True
        )
        assert next(runs).stdout == b"first\n"
        time.sleep(pause)
        runs.close()
        (good,) = jail.run("cat", ["good"], limits, ahead=True)
        assert good.status is None and good.stdout == b"good"
        assert time.monotonic() - started < 5


def test_a_result_is_not_kept_back_by_a_long_test_behind_it(jail: Jail) -> None:
    limits = replace(jail.toolchain.limits, test_s=30, program_s=60)
    started = time.monotonic()
    runs = jail.run("read n; echo $n; if [ $n = 3 ]; then sleep 20; fi", ["1\n", "2\n", "3\n"], limits, ahead=True)
    assert [next(runs).stdout, next(runs).stdout] == [b"1\n", b"2\n"]
    runs.close()
    assert time.monotonic() - started < 5


def test_a_lower_limit_waits_for_memory_on_its_way_out() -> None:
    cgroup = Cgroup.create(f"{os.getpid()}-lower")
    if cgroup is None or cgroup.version == 2:  # version 2 makes room by killing
        pytest.skip("no memory cgroup of version 1 can be made here")
    try:
        cgroup.limit(128)
        hold = "import sys, time; data = b'x' * (64 << 20); print('holds', flush=True); time.sleep(0.3)"
        join = f"open({str(cgroup.path / 'cgroup.procs')!r}, 'w').write('0'); {hold}"
        with subprocess.Popen([sys.executable, "-c", join], stdout=subprocess.PIPE) as process:
            assert process.stdout and process.stdout.readline() == b"holds\n"
            started = time.monotonic()
            cgroup.limit(16)
            assert process.poll() is not None or time.monotonic() - started > 0.2
    finally:
        cgroup.remove()

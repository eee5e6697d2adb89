"""Tests that begin as copies of a loaded process (driver/zygote.c); the attacks on it are attacks/zygote_*.c."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.driver.binaries import Binaries
from sandbox.driver.messages import CPU, EXITED, OUTPUT_LIMIT, SIGNALED, TIMEOUT, WALL
from sandbox.jail import Jail, Toolchain
from sandbox.job import Status

LOADED = (  # what made this process, or the one that it is a copy of, leave a zygote is in its memory
    "how=plainly; while read -r line; do case $line in *zygote.so) how=once;; esac; done < /proc/self/maps; echo $how"
)


@pytest.mark.parametrize("ahead", [True, False])
def test_a_program_is_loaded_once_for_all_its_tests(jail: Jail, ahead: bool) -> None:
    def places(program: str) -> list[bytes]:
        runs = list(jail.run(program, [""] * 5, jail.toolchain.limits, ahead=ahead))
        assert [run.code for run in runs] == [0] * 5
        return [run.stdout for run in runs]

    # the first test leaves no zygote: whoever fails there needs none
    assert places(LOADED) == places(LOADED) == [b"plainly\n"] + [b"once\n"] * 4
    # where a test leaves a process behind, all are ended, the loaded one too
    assert places(f"{LOADED}; sleep 60 &") == [b"plainly\n", b"once\n"] + [b"plainly\n"] * 3


def test_what_a_test_starts_is_no_loaded_process(jail: Jail) -> None:
    """The program's own children are loaded as ever, and measured and stopped with it."""
    inputs, limits = ["0.1", "0.2", "60", "0.1"], replace(jail.toolchain.limits, wall_s=0.5)
    runs = list(jail.run("read n; sh -c 'sleep '$n", inputs, limits))
    assert [run.status for run in runs] == [None, None, Status.TIMEOUT, None]
    assert all(least <= run.wall_s < least + 0.4 for run, least in zip(runs, (0.1, 0.2, 0.5, 0.1), strict=True))


def test_a_second_test_without_end_spoils_no_later_one(jail: Jail) -> None:
    """Its zygote is killed with it, before the init has heard of it."""
    limits = replace(jail.toolchain.limits, test_s=0.3)
    runs = list(jail.run("read n; while [ $n = 1 ]; do :; done", ["2", "1"] + ["2"] * 4, limits))
    assert [run.status for run in runs] == [None, Status.TIMEOUT] + [None] * 4


ACTIONS: dict[str, tuple[int, int]] = {  # what a test does, and its outcome and code, whatever went before it
    "echo here": (EXITED, 0),
    "exit 3": (EXITED, 3),
    "kill -SEGV $$": (SIGNALED, 11),
    "while :; do :; done": (TIMEOUT, CPU),
    "kill -STOP $$": (TIMEOUT, WALL),
    "sleep 60 & echo here": (EXITED, 0),
    "(sleep 60 & sleep 60) & exit 4": (EXITED, 4),
    "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done": (OUTPUT_LIMIT, 0),
    "trap '' TERM; kill 0; echo here": (EXITED, 0),
    "kill -KILL -1; echo here": (EXITED, 0),
    "exec sh -c 'echo here; exit 5'": (EXITED, 5),
    "exec <&- >&- 2>&-": (EXITED, 0),
    "for pid in 2 3 4 5 6 7 8 9; do [ $pid = $$ ] || kill -KILL $pid 2>/dev/null; done; echo here": (EXITED, 0),
}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=st.lists(st.sampled_from(sorted(ACTIONS)), min_size=2, max_size=7))
def test_no_test_depends_on_how_an_earlier_one_ended(jail: Jail, actions: list[str]) -> None:
    limits = replace(jail.toolchain.limits, test_s=0.2, wall_s=0.5, output_mb=0.05)
    runs = list(jail.run('read -r line; eval "$line"', [action + "\n" for action in actions], limits))
    assert [(run.outcome, run.code) for run in runs] == [ACTIONS[action] for action in actions]
    assert all(run.memory_mb > 0.5 and run.cpu_s < 1 for run in runs)
    assert all(run.cpu_s > 0.1 for run, action in zip(runs, actions, strict=True) if "do :;" in action)
    assert all(run.stdout == b"here\n" for run, action in zip(runs, actions, strict=True) if "echo here" in action)


def test_a_preload_of_the_image_stays(shell: Toolchain, namespaces: Binaries) -> None:
    jail = Jail(replace(shell, environment=(("LD_PRELOAD", "/nowhere.so"),)), 8, None, namespaces)
    try:
        runs = list(jail.run("echo $LD_PRELOAD", [""] * 3, shell.limits))
    finally:
        jail.close()
    assert [run.stdout for run in runs] == [b"/nowhere.so\n"] * 3

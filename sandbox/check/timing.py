"""What makes timings of programs lie on this machine, and what to do about it.

`reward=efficient` compares CPU times of right programs, and so does every benchmark. The checks are those that the
sandbox of programming contests makes (isolate's `isolate-check-environment`), and how busy the machine is. Nothing is
changed here: all of it needs root, and is the machine's owner's to decide.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

BUSY = 0.5  # processes ready to run, for each core


class Disturbance(NamedTuple):
    name: str
    seen: str  # what was found
    harm: str  # what it does to timings
    advice: str  # what to do


def disturbances(root: Path = Path("/")) -> list[Disturbance]:
    """All that was found; empty on a machine whose timings can be trusted. Takes a few milliseconds.

    `root`: where /proc and /sys are. What cannot be read, as in some containers and virtual machines, is not reported.
    """
    checks = (_governor, _turbo, _swap, _smt, _aslr, _huge_pages, _load, _quota)
    return [found for check in checks for found in check(lambda name: _read(root / name))]


Read = Callable[[str], str]  # the text of a file below the root; "" where there is none


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


CPUS = "sys/devices/system/cpu"


def _governor(read: Read) -> Iterator[Disturbance]:
    files = (f"{CPUS}/cpu{n}/cpufreq/scaling_governor" for n in range(os.cpu_count() or 1))
    governors = set(map(read, files)) - {"", "performance"}
    if governors:
        yield Disturbance(
            "frequency scaling",
            f"the governor is {', '.join(sorted(governors))}",
            "the same program takes longer on a core that was idle before",
            "cpupower frequency-set -g performance",
        )


def _turbo(read: Read) -> Iterator[Disturbance]:
    harm = "a core is faster while others are idle, and slower when it is hot"
    if read(f"{CPUS}/intel_pstate/no_turbo") == "0":
        yield Disturbance("turbo", "on", harm, f"echo 1 > /{CPUS}/intel_pstate/no_turbo")
    elif read(f"{CPUS}/cpufreq/boost") == "1":
        yield Disturbance("turbo", "on", harm, f"echo 0 > /{CPUS}/cpufreq/boost")


def _swap(read: Read) -> Iterator[Disturbance]:
    areas = read("proc/swaps").splitlines()[1:]
    if areas:
        yield Disturbance(
            "swap",
            f"on, {', '.join(line.split()[0] for line in areas)}",
            "a program whose memory was swapped out waits for the disk",
            "swapoff -a",
        )


def _smt(read: Read) -> Iterator[Disturbance]:
    if read(f"{CPUS}/smt/active") == "1":
        yield Disturbance(
            "SMT",
            "on: two hardware threads share a core",
            "a program is up to twice as slow while its neighbour works",
            f"echo off > /{CPUS}/smt/control, or half as many workers as there are hardware threads",
        )


def _aslr(read: Read) -> Iterator[Disturbance]:
    """Jails switch it off for their programs, which a container's filter of system calls, as Docker's, refuses them."""
    value = read("proc/sys/kernel/randomize_va_space")
    if value not in ("", "0") and "Seccomp:\t2" in read("proc/self/status"):
        yield Disturbance(
            "ASLR",
            f"on, kernel.randomize_va_space is {value}, and a filter above us may refuse the jail to switch it off",
            "addresses differ from run to run, and with them what falls out of the caches",
            "docker run --security-opt seccomp=unconfined, or sysctl kernel.randomize_va_space=0 on the host",
        )


def _huge_pages(read: Read) -> Iterator[Disturbance]:
    value = read("sys/kernel/mm/transparent_hugepage/enabled")
    if "[always]" in value:
        yield Disturbance(
            "transparent huge pages",
            "always",
            "a program is faster where the kernel has a huge page at hand, and its memory differs",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        )


def _load(read: Read) -> Iterator[Disturbance]:
    words = read("proc/loadavg").split()
    cores = len(os.sched_getaffinity(0))
    if words and float(words[0]) > BUSY * cores:
        yield Disturbance(
            "load",
            f"{words[0]} processes were ready to run in the last minute, on {cores} cores",
            "neighbours take turns on the cores, and share caches and memory with programs",
            "end what else runs, or leave cores free: sandbox.workers",
        )


def _quota(read: Read) -> Iterator[Disturbance]:
    """Of the container that this runs in, which sees its own cgroup as the root."""
    quota, _, period = read("sys/fs/cgroup/cpu.max").partition(" ")
    if not quota:
        quota, period = read("sys/fs/cgroup/cpu/cpu.cfs_quota_us"), read("sys/fs/cgroup/cpu/cpu.cfs_period_us")
    cores = len(os.sched_getaffinity(0))
    if quota.isdecimal() and period.isdecimal() and (allowed := int(quota) / int(period)) < cores:
        yield Disturbance(
            "CPU quota",
            f"{allowed:g} of {cores} cores' time is allowed here",
            "all programs stand still for the rest of a period once it is used up",
            f"sandbox.workers={max(1, int(allowed))}, or a container without a quota",
        )

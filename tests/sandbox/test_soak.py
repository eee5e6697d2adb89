"""Thousands of mixed programs while workers, nsjails and drivers are killed: the verdicts are those of a calm run."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

import languages
from sandbox.driver.binaries import Level
from sandbox.jail import Toolchain
from sandbox.job import Job, Status, Verdict
from sandbox.pool import Pool, toolchain
from tests.sandbox import mixed
from tests.sandbox.test_pool import cgroups, eventually, name_of


class Killer:
    """Kills a random process of a pool's workers, nsjails, servers and inits."""

    def __init__(self, pool: Pool):
        self.pool = pool
        self.rng = random.Random(0)
        self.killed: Counter[str] = Counter()
        self.seen: set[int] = set()

    def kill(self) -> None:
        time.sleep(self.rng.uniform(0, 0.02))  # so that it strikes a worker anywhere in its work
        generations = [[self.rng.choice(self.pool.pids)]]
        while below := [child for pid in generations[-1] for child in children(pid)]:
            generations.append(below)
        self.seen.update(pid for generation in generations for pid in generation)
        names = ["worker", "nsjail", "server", "init"]
        if self.pool.binaries and self.pool.binaries.level is not Level.NAMESPACES:
            names.remove("nsjail")
        level = self.rng.randrange(min(len(names), len(generations)))  # a program killed is a program that fails
        with suppress(ProcessLookupError):
            os.kill(self.rng.choice(generations[level]), signal.SIGKILL)
            self.killed[names[level]] += 1


def children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def soak(chains: list[Toolchain], count: int, every: int) -> None:
    """Kills once every so many verdicts, so that a fast machine and a slow one see as many kills."""
    expected = mixed.jobs([chain.language for chain in chains], count)
    jobs = [job for job, _ in expected]
    descriptors = len(os.listdir("/proc/self/fd"))
    before = set(cgroups())  # other tests' pools may be open
    with Pool(chains) as pool:
        killer = Killer(pool)
        by_index: dict[int, Verdict] = {}
        for index, verdict in pool.as_verified(jobs):
            by_index[index] = verdict
            if len(by_index) % every == 0:
                killer.kill()
        verdicts = [by_index[index] for index in range(count)]
        family = {*pool.pids, *killer.seen}
    assert [v.id for v in verdicts] == [job.id for job in jobs]
    wrong = [(v, right) for v, (_, right) in zip(verdicts, expected, strict=True) if v.status is not right]
    print(f"{count} programs, killed {dict(killer.killed)}, {Counter(v.status.value for v in verdicts)}")
    # a job struck three times is reported, not judged; with kills this far apart that is rare
    struck = [v for v, _ in wrong if v.status is Status.INFRASTRUCTURE_ERROR]
    assert len(struck) == len(wrong), [pair for pair in wrong if pair[0] not in struck][:5]
    assert len(struck) <= 1 + count // 2000, struck[:5]
    assert sum(killer.killed.values()) >= 3 and len(killer.killed) >= 2
    assert eventually(lambda: not [pid for pid in family if name_of(pid).startswith(("nsjail", "driver"))])
    assert eventually(lambda: not set(cgroups()) - before), {
        str(group): [(pid, name_of(int(pid))) for pid in (group / "cgroup.procs").read_text().split()]
        for group in set(cgroups()) - before
    }
    assert len(os.listdir("/proc/self/fd")) == descriptors


def calm(chains: list[Toolchain], count: int) -> None:
    with Pool(chains) as pool:
        expected = mixed.jobs([chain.language for chain in chains], count, seed=1)
        verdicts = pool.verify([job for job, _ in expected])
        assert [(v.id, v.status) for v in verdicts] == [(job.id, right) for job, right in expected]


def test_a_calm_run_gives_the_right_verdicts(lua: Toolchain, shell: Toolchain) -> None:
    calm([lua, shell], 150)


def test_verdicts_are_right_though_processes_are_killed(lua: Toolchain, shell: Toolchain) -> None:
    soak([lua, shell, toolchain(languages.load("python"))], 300, every=40)


@pytest.mark.slow
def test_ten_thousand_programs(lua: Toolchain, shell: Toolchain) -> None:
    soak([lua, shell, toolchain(languages.load("python"))], 10_000, every=50)


def test_the_same_job_many_times_over_is_the_same_verdict(shell: Toolchain) -> None:
    with Pool([shell]) as pool:
        alone = pool.binaries and pool.binaries.level is Level.NAMESPACES  # in what numbers processes
        once = Job("x", "sh", f"cat{'; echo $$' * bool(alone)}", mixed.jobs(["sh"], 1)[0][0].tests)
        # other limits make it another job, so that none is answered from another's verdict
        jobs = [replace(once, id=str(n), limits=replace(mixed.LIMITS, inodes=1000 + n)) for n in range(200)]
        assert len({v.tests[0].stdout for v in pool.verify(jobs)}) == 1

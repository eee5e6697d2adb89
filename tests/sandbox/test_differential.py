"""Verdicts in the jail are those of the same programs outside (sandbox/check/plain.py): no driver, no nsjail."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import languages
from base.limits import Limits
from problems.problem import read_jsonl
from sandbox.check import plain, proof
from sandbox.jail import Toolchain
from sandbox.job import Job, Status
from sandbox.pool import Pool, toolchain
from tests.conftest import needs_mounts
from tests.sandbox import mixed

TESTS = Path(__file__).parents[1]


def compare(chains: list[Toolchain], jobs: list[Job], scratch: Path) -> None:
    with Pool(chains) as pool:
        jailed = [verdict.status for verdict in pool.verify(jobs)]
    by_name = {chain.language: chain for chain in chains}
    with ThreadPoolExecutor(2) as threads:
        outside = list(threads.map(lambda job: plain.verify(by_name[job.language], job, scratch), jobs))
    differ = [(job.id, one, other) for job, one, other in zip(jobs, jailed, outside, strict=True) if one is not other]
    assert not differ, differ
    assert len({*outside}) > 3 or len(jobs) < 40  # fates of many kinds were there to agree on


@needs_mounts
def test_generated_programs(lua: Toolchain, shell: Toolchain, tmp_path: Path) -> None:
    compare([lua, shell], [job for job, _ in mixed.jobs(["lua", "sh"], 60, seed=2)], tmp_path)


@needs_mounts
@pytest.mark.slow
def test_hundreds_of_generated_programs(lua: Toolchain, shell: Toolchain, tmp_path: Path) -> None:
    chains = [lua, shell, toolchain(languages.load("python"))]
    compare(chains, [job for job, _ in mixed.jobs(["lua", "sh", "python"], 600, seed=3)], tmp_path)


def test_the_ladders_lua_programs_pass(lua: Toolchain) -> None:
    problems = {
        problem.id.removeprefix("ladder-"): problem
        for split in ("train", "heldout")
        for problem in read_jsonl(TESTS.parent / "problems" / "ladder" / "data" / f"{split}.jsonl")
    }
    jobs = [
        Job(path.stem, "lua", path.read_text(), problems[path.stem].tests, problems[path.stem].compare)
        for path in sorted((TESTS / "problems" / "ladder_lua").glob("*.lua"))
    ]
    with Pool([replace(lua, limits=Limits())]) as pool:
        assert {verdict.id: verdict.status for verdict in pool.verify(jobs)} == {job.id: Status.PASSED for job in jobs}
    assert len(jobs) >= 30


@needs_mounts
@pytest.mark.slow
@pytest.mark.parametrize("name", languages.names())
def test_the_proofs_of_every_language(name: str, tmp_path: Path) -> None:
    """All programs of languages/proofs, those of the wild too, each test by itself. Roots are built first: hours."""
    language = languages.load(name)
    chain = toolchain(language)
    jobs = []
    for job in proof.jobs(language):
        if job.id == "hog":  # without a cgroup it would fill this machine
            continue
        for n, test in enumerate(job.tests):
            jobs.append(replace(job, id=f"{job.id}-{n}", tests=(test,)))
    compare([chain], jobs, tmp_path)

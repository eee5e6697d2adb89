"""Verdicts in the jail are those of the same programs run bare: chroot into the same root, no driver, no nsjail.

The bare run is written apart from the sandbox: `subprocess`, a deadline, and the exit status.
"""

from __future__ import annotations

import os
import resource
import shlex
import signal
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

import languages
from base.limits import Limits
from problems.problem import read_jsonl
from sandbox.check import proof
from sandbox.jail import Toolchain
from sandbox.job import Job, Status
from sandbox.pool import Pool, toolchain
from tests.sandbox import mixed

TESTS = Path(__file__).parents[1]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")


def bare(chain: Toolchain, job: Job, scratch: Path) -> Status:
    """The status of a job, from a run in a folder bound into a copy-free view of the root."""
    assert job.program is not None
    limits = job.limits or chain.limits
    folder = Path(tempfile.mkdtemp(dir=scratch))
    Path(folder, chain.filename).write_text(job.program)
    if chain.compile:
        status, _ = _run(chain, chain.compile, "", folder, limits, limits.compile_s)
        if status is not None:
            return Status.COMPILE_ERROR if status is Status.RUNTIME_ERROR else status
    for test in job.tests:
        status, output = _run(chain, chain.execute, test.input, folder, limits, limits.test_s)
        if status is not None:
            return status
        if output.rstrip() != test.output.rstrip():
            return Status.WRONG_OUTPUT
    return Status.PASSED


def _run(
    chain: Toolchain, line: str, stdin: str, folder: Path, limits: Limits, seconds: float
) -> tuple[Status | None, str]:
    # a mount namespace of its own, in which the folder is the root's /tmp
    mounts = f"mount --bind {folder} {chain.root}/tmp && mount -t proc proc {chain.root}/proc"
    devices = f"mount --bind /dev {chain.root}/dev"
    inner = f"cd /tmp || exit\n{line}\nexit $?"  # a program that is pid 1 itself could not crash
    script = f"{mounts} && {devices} && exec chroot {chain.root} /bin/sh -c {shlex.quote(inner)}"
    environment = {"PATH": os.defpath, "HOME": "/tmp", "TMPDIR": "/tmp", "LC_ALL": "C.UTF-8", **dict(chain.environment)}

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory_mb << 20, limits.memory_mb << 20))

    process = subprocess.Popen(
        ["unshare", "-m", "-p", "-f", "--kill-child", "/bin/sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
        preexec_fn=bound if limits.memory_mb <= 512 else None,
    )
    # bytes beyond the cap are what the status output_limit means
    head = subprocess.Popen(
        ["head", "-c", str(round(limits.output_mb * 2**20) + 1)], stdin=process.stdout, stdout=subprocess.PIPE
    )
    assert process.stdin and process.stdout and process.stderr
    process.stdout.close()
    with ThreadPoolExecutor(2) as threads:
        errors = threads.submit(process.stderr.read)
        output = threads.submit(lambda: head.communicate()[0])
        try:
            with suppress(BrokenPipeError):
                process.stdin.write(stdin.encode())
                process.stdin.close()
            process.wait(seconds + 30)  # by the clock: beside others, a right program needs longer than its CPU time
            timed_out = False
        except subprocess.TimeoutExpired:
            timed_out = True
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        text, stderr = output.result(), errors.result()
    if len(text) > limits.output_mb * 2**20:
        return Status.OUTPUT_LIMIT, ""
    if timed_out:
        return Status.TIMEOUT, ""
    if process.returncode != 0:
        words = (b"not enough memory", b"MemoryError", b"memory exhausted", b"annot allocate", b"out of memory")
        starved = any(word in stderr for word in words)
        return (Status.MEMORY_LIMIT if starved else Status.RUNTIME_ERROR), ""
    return None, text.decode(errors="replace")


def compare(chains: list[Toolchain], jobs: list[Job], scratch: Path) -> None:
    with Pool(chains) as pool:
        jailed = [verdict.status for verdict in pool.verify(jobs)]
    by_name = {chain.language: chain for chain in chains}
    with ThreadPoolExecutor(2) as threads:
        plain = list(threads.map(lambda job: bare(by_name[job.language], job, scratch), jobs))
    differ = [(job.id, one, other) for job, one, other in zip(jobs, jailed, plain, strict=True) if one is not other]
    assert not differ, differ
    assert len({*plain}) > 3 or len(jobs) < 40  # fates of many kinds were there to agree on


@needs_root
def test_generated_programs(lua: Toolchain, shell: Toolchain, tmp_path: Path) -> None:
    compare([lua, shell], [job for job, _ in mixed.jobs(["lua", "sh"], 60, seed=2)], tmp_path)


@needs_root
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


@needs_root
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

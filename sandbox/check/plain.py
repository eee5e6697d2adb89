"""The toolchain as it is, outside the jail: what the sandbox's verdicts are held against.

Written apart from the sandbox: `subprocess` in the same root file system, without driver, nsjail, filter and cgroup;
limits, exit status and output are all that a verdict is made of. It needs root that may mount, and protects from
nothing: for programs of one's own.
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
from pathlib import Path

from base.limits import PATIENCE, Limits
from sandbox.jail import Toolchain
from sandbox.job import Job, Status

STARVED = (b"not enough memory", b"MemoryError", b"memory exhausted", b"annot allocate", b"out of memory")


def available() -> bool:
    """Whether programs can be run so here: not by a user, nor in most containers."""
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


def verify(chain: Toolchain, job: Job, scratch: Path) -> Status:
    """The status of a job, in a folder below `scratch` that is bound over the root's /tmp for as long as it runs."""
    assert job.program is not None
    limits = job.limits or chain.limits
    folder = Path(tempfile.mkdtemp(dir=scratch))
    Path(folder, chain.filename).write_text(job.program, encoding="utf-8")
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
    """Why a command failed, None where it did not, and what it printed. `seconds` are CPU time, as in the jail."""
    # a mount namespace of its own, in which the folder is the root's /tmp
    mounts = f"mount --bind {folder} {chain.root}/tmp && mount -t proc proc {chain.root}/proc"
    devices = f"mount --bind /dev {chain.root}/dev"
    inner = f"cd /tmp || exit\n{line}\nexit $?"  # a program that is pid 1 itself could not crash
    script = f"{mounts} && {devices} && exec chroot {chain.root} /bin/sh -c {shlex.quote(inner)}"
    environment = {"PATH": os.defpath, "HOME": "/tmp", "TMPDIR": "/tmp", "LC_ALL": "C.UTF-8", **dict(chain.environment)}

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_STACK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CPU, (round(seconds) + 1, round(seconds) + 1))
        if limits.memory_mb <= 512:  # of addresses: runtimes that set many aside have more
            resource.setrlimit(resource.RLIMIT_AS, (limits.memory_mb << 20, limits.memory_mb << 20))

    process = subprocess.Popen(
        ["unshare", "-m", "-p", "-f", "--kill-child", "/bin/sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
        preexec_fn=bound,
    )
    # bytes beyond the cap are what the status output_limit means
    head = subprocess.Popen(
        ["head", "-c", str(round(limits.output_mb * 2**20) + 1)], stdin=process.stdout, stdout=subprocess.PIPE
    )
    assert process.stdin and process.stdout and process.stderr
    process.stdout.close()
    with ThreadPoolExecutor(3) as threads:
        errors = threads.submit(process.stderr.read)
        output = threads.submit(lambda: head.communicate()[0])
        end = threads.submit(os.wait4, process.pid, 0)
        try:
            with suppress(BrokenPipeError):
                process.stdin.write(stdin.encode())
                process.stdin.close()
            end.result(60 + PATIENCE * seconds)  # the clock: beside others, a right program may wait long for a core
            slept = False
        except TimeoutError:
            slept = True
            os.killpg(process.pid, signal.SIGKILL)
        _, status, usage = end.result()
        process.returncode = os.waitstatus_to_exitcode(status)
        text, stderr = output.result(), errors.result()
    if len(text) > limits.output_mb * 2**20:
        return Status.OUTPUT_LIMIT, ""
    if slept or usage.ru_utime + usage.ru_stime >= seconds:
        return Status.TIMEOUT, ""
    if process.returncode != 0:
        starved = any(word in stderr for word in STARVED)
        return (Status.MEMORY_LIMIT if starved else Status.RUNTIME_ERROR), ""
    return None, text.decode(errors="replace")

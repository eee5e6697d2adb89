from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from base.limits import Limits
from sandbox import open_pool, ray_pool
from sandbox.check import holds
from sandbox.jail import Toolchain
from sandbox.job import Job, SandboxError, Status, Test, Verdict
from sandbox.pool import Pool
from sandbox.ray_pool import RAY, RayPool
from tests.sandbox.test_pool import children, eventually

NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
PATIENCE_S = 300  # for what a busy machine does late
PATIENT = Limits(test_s=20, program_s=60, memory_mb=128)  # a busy machine must change no verdict
CAP_SYS_NICE = 23


def batch() -> list[Job]:
    """150 programs: right, wrong, crashing, slow, endless, equal, none."""
    jobs = []
    for n in range(150):
        program: str | None = f"print(io.read('n') * {n})"
        limits = PATIENT
        if n % 5 == 1:
            program = f"while os.clock() < 0.05 do end print({n} * io.read('n'))"
        elif n % 10 == 2:
            program = f"io.stderr:write('no {n}') os.exit({n})"
        elif n % 10 == 3:
            program = f"print({n} + io.read('n'))"
        elif n % 30 == 4:
            program = f"-- {n}\nwhile true do end"
            limits = replace(PATIENT, test_s=0.5, wall_s=0.5)
        elif n % 50 == 5:
            program = None
        elif n % 10 == 7:
            program = "print(7 * io.read('n'))"
        tests = tuple(Test(f"{i}\n", f"{i * (7 if n % 10 == 7 else n)}\n") for i in (1, 2))
        jobs.append(Job(f"job {n}", "lua", program, tests, limits=limits))
    return jobs


def outcome(verdict: Verdict) -> tuple[Any, ...]:
    """All but the measured times and memory."""
    return (
        verdict.id,
        verdict.status,
        verdict.message,
        [(t.status, t.stdout, t.stderr, t.exit_code, t.signal) for t in verdict.tests],
    )


def descendants() -> dict[int, str]:
    """The processes below this one: pid -> start time, which tells a process from a later one with the same pid."""
    found = {}
    for pid in children(os.getpid()):
        try:
            found[pid] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        except OSError:
            continue
    return found


def alive(processes: dict[int, str]) -> list[str]:
    """What still runs of `descendants()` as they were."""

    def gone(pid: int, start: str) -> bool:
        try:
            row = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return True
        return row[19] != start or row[0] == "Z"

    return [f"{pid} {command_line(pid)}" for pid, start in processes.items() if not gone(pid, start)]


@pytest.fixture
def others() -> dict[int, str]:
    """What earlier tests left running in this process: vLLM, say, starts a resource tracker that stays."""
    return descendants()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes, each with a raylet and an object store of its own, as two machines would have."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    folder = tempfile.mkdtemp(dir="/tmp")  # pytest's own are too long for the names of sockets
    monkeypatch.setenv("RAY_TMPDIR", folder)
    monkeypatch.setenv("RAY_prestart_worker_first_driver", "0")
    monkeypatch.setenv("RAY_worker_niceness", "1")  # with Ray's own 15, a busy neighbour makes a start last minutes
    (Path(folder) / "ray").mkdir()
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    try:
        cluster.add_node(**NODE)
        yield cluster
    finally:
        cluster.shutdown()
        shutil.rmtree(folder)


def test_whatever_dies_no_verdict_is_lost_or_wrong(
    others: dict[int, str], cluster: Any, lua: Toolchain, caplog: pytest.LogCaptureFixture
) -> None:
    import ray

    jobs = batch()
    with Pool([lua], workers=2) as pool:
        expected = [outcome(verdict) for verdict in pool.verify(jobs)]
    assert len({status for _, status, *_ in expected}) == 5

    verdicts: dict[int, Verdict] = {}
    with RayPool([lua], address=cluster.address) as pool:
        assert eventually(lambda: pool.workers == 2, PATIENCE_S)
        assert pool.submit(replace(jobs[0], id="one")).result().passed
        with pytest.raises(ValueError, match="no tests"):
            pool.submit(replace(jobs[0], tests=()))
        started = descendants()
        for index, verdict in pool.as_verified(jobs):
            assert index not in verdicts
            verdicts[index] = verdict
            if len(verdicts) == 30:
                (node,) = cluster.worker_nodes
                raylet = node.all_processes["raylet"][0].process.pid
                for pid in [raylet, *children(raylet)]:  # all at once, as when a machine loses its power
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            if len(verdicts) == 60:
                (actor,) = [pid for pid in descendants() if command_line(pid).startswith("ray::_Host")]
                assert not holds(CAP_SYS_NICE) or os.getpriority(os.PRIO_PROCESS, actor) == 0
                os.kill(actor, signal.SIGKILL)
        cluster.add_node(**NODE)
        assert eventually(lambda: pool.workers == 2, PATIENCE_S), "the new node is not used"
        started |= descendants()

        endless = pool.submit(Job("deadly", "lua", "while true do end", jobs[0].tests, limits=PATIENT))
        while not endless.done():  # every actor that gets it dies
            for node in list(pool._nodes.values()):
                if node.tasks:
                    ray.kill(node.actor)
            time.sleep(0.05)
        assert endless.result().status is Status.INFRASTRUCTURE_ERROR
        assert "lost its node 3 times" in endless.result().message
        assert pool.submit(replace(jobs[0], id="after")).result().passed
        started |= descendants()

    assert [outcome(verdicts[index]) for index in range(len(jobs))] == expected
    lost = [record.message for record in caplog.records if "lost node" in record.message]
    assert len([message for message in lost if not message.endswith(": 0")]) == 5, (
        "a loss came when no job was on its way"
    )

    cluster.shutdown()
    ours = dict(started.items() - others.items())
    assert eventually(lambda: not alive(ours), PATIENCE_S), alive(ours)


def command_line(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def test_without_ray_or_a_cluster_there_is_one_sentence(
    lua: Toolchain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))  # where no cluster of this machine is known
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    requirements = (Path(__file__).parents[2] / "requirements.txt").read_text()
    assert RAY in [line.split("#")[0].strip() for line in requirements.splitlines()]
    with pytest.raises(SandboxError, match=r"^no Ray cluster answers on this machine: .*ray start --head"):
        open_pool([lua], executor="ray", workers=None)
    with pytest.raises(SandboxError, match=r"^no Ray cluster answers at 127\.0\.0\.1:9: "):
        open_pool([lua], executor="ray", address="127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SandboxError, match=f"pip install {RAY}$"):
        open_pool([lua], executor="ray", workers=None)


def test_a_node_is_sent_every_module_of_ours_that_it_imports() -> None:
    """Its worker may start anywhere: here, Ray would find the others beside us."""
    program = "import sys, sandbox.ray_pool, sandbox.pool; print(*{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ray_pool.ROOT, capture_output=True, text=True, check=True)
    ours = {path.name for path in ray_pool.ROOT.iterdir() if (path / "__init__.py").exists()}
    assert set(done.stdout.split()) & ours <= {*ray_pool.SENT}


def test_an_unknown_executor_is_answered_with_the_choices(lua: Toolchain) -> None:
    with pytest.raises(SandboxError, match="'slurm'; the choices are local, ray"):
        open_pool([lua], executor="slurm")

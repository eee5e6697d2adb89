"""Hostile programs: each file in tests/sandbox/attacks tries something, and the worker that ran it lives on unharmed.

An attack prints `held` when the jail has refused everything that it tried (or prints it in the hope of passing for a
right answer). Its second line says which verdicts are right, and limits, where the language's are not meant. After
each attack a good program runs in the same jail, must pass, and says what it finds of the attack's; and the machine
must look as it did before.
"""

from __future__ import annotations

import base64
import itertools
import os
import platform
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest

import languages
from base.limits import WHOLE, Limits
from sandbox.driver.binaries import Binaries, Level
from sandbox.jail import Toolchain
from sandbox.job import Job, Status, Test, Verdict
from sandbox.pool import Pool, toolchain
from tests.sandbox.test_pool import cgroups, eventually, name_of

FOLDER = Path(__file__).parent / "attacks"
LANGUAGES = {".c": "c", ".lua": "lua", ".sh": "sh", ".py": "python"}
# The verdicts that are right without namespaces, where they are others; `unscoped=`: as an ordinary user, before
# Linux 6.12, whose Landlock was the first to scope signals.
LEVELS = ("root", "user", "unscoped")
LIMITS = Limits(compile_s=10, test_s=8, wall_s=8, memory_mb=256, processes=64)
SCOPES_SIGNALS = 6  # the version of Landlock's interface
SERIAL = itertools.count()


@dataclass(frozen=True)
class Attack:
    path: Path
    expect: frozenset[str]
    limits: Limits
    tests: int = 1
    input: str = ""

    @property
    def language(self) -> str:
        return LANGUAGES[self.path.suffix]


def read(path: Path, binaries: Binaries) -> Attack:
    lines = path.read_text().splitlines()
    header = next(line for line in lines[:4] if "expect=" in line)
    given = dict(word.split("=") for word in header.split()[1:])
    limits = LIMITS
    for key in given.keys() & {f.name for f in fields(Limits)}:
        value: Any = (int if key in WHOLE else float)(given[key])
        limits = replace(limits, **{key: value})
    if "test_s" in given and "wall_s" not in given:
        limits = replace(limits, wall_s=limits.test_s)  # those who sleep are not waited for either
    unknown = set(given) - {f.name for f in fields(Limits)} - {"expect", "tests", "input", "needs", "canary", *LEVELS}
    assert not unknown, f"{path}: {unknown}"
    expect = given.get(binaries.level.rpartition(" ")[2], given["expect"])
    if binaries.level is Level.CONTAINER_USER and binaries.landlock < SCOPES_SIGNALS:
        expect = given.get("unscoped", expect)
    return Attack(
        path,
        frozenset(expect.split(",")),
        limits,
        int(given.get("tests", 1)),
        "x" * int(given.get("input", 0)),
    )


def needs(path: Path) -> str:
    found = re.search(r"needs=(\w+)", path.read_text())
    return found[1] if found else ""


ATTACKS = sorted(p for p in FOLDER.iterdir() if p.suffix in LANGUAGES)


def compiled(source: Path, folder: Path) -> Path:
    binary = folder / source.stem
    if not binary.exists():
        static = [] if source.stem.startswith("zygote") else ["-static"]  # only what is loaded can have a zygote
        subprocess.run(["gcc", "-w", "-O1", *static, "-s", "-pthread", "-o", binary, source], check=True)
    return binary


@pytest.fixture(scope="module")
def binaries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("binaries")


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("rlimit", "container")]


@pytest.fixture(scope="module", params=["cgroup", *SLOW])
def hostile(request: pytest.FixtureRequest, lua: Toolchain, shell: Toolchain) -> Iterator[Pool]:
    binary = replace(
        lua, language="c", filename="program.b64", compile="base64 -d program.b64 > program && chmod +x program",
        execute="./program", warm=False,
    )  # fmt: skip
    python = toolchain(languages.load("python"))
    if (level := Level.CONTAINER_ROOT if request.param == "container" else None) and os.geteuid():
        pytest.skip("an ordinary user's level is tried in a simulated container: test_container.py")
    chains = [lua, shell, binary, python]
    with Pool(chains, workers=1, use_cgroups=request.param == "cgroup", level=level) as pool:
        yield pool


def job(path: Path, binaries: Path, tests: list[Test], limits: Limits, **more: object) -> Job:
    if path.suffix == ".c":
        program = base64.encodebytes(compiled(path, binaries).read_bytes()).decode()
    else:
        program = path.read_text()
    name = f"{path.stem}-{next(SERIAL)}"
    return Job(name, LANGUAGES[path.suffix], program, tuple(tests), limits=limits, **more)  # type: ignore[arg-type]


def look(pool: Pool, suffix: str, binaries: Path) -> Verdict:
    """A good program in the same jail."""
    answer = secrets.token_hex(8)
    path = FOLDER / "after" / f"look{suffix}"
    return pool.verify([job(path, binaries, [Test(answer + "\n", answer)], LIMITS)])[0]


@dataclass
class Traces:
    """What a program may leave behind, outside its jail."""

    processes: list[tuple[int, str]]
    inits: int
    runtimes: list[str]  # that programs are copied from
    descriptors: list[str]
    mounts: list[str]
    cgroups: list[str]
    segments: list[str]


def traces(pool: Pool) -> Traces:
    """The worker, its nsjails and their servers stay; the init of each is another one for every program."""
    worker = pool.pids[0]
    jails = below(worker)
    servers = jails if confined(pool) else [pid for nsjail in jails for pid in below(nsjail)]
    descriptors = [os.readlink(f"/proc/{worker}/fd/{fd}") for fd in sorted(os.listdir(f"/proc/{worker}/fd"))]
    children = [pid for server in servers for pid in below(server)]
    inits = [pid for pid in children if name_of(pid).startswith("driver")]
    return Traces(
        sorted({(pid, name_of(pid)) for pid in (worker, *jails, *servers)}),
        len([pid for init in inits for pid in (init, *below(init))]),
        sorted(name_of(pid) for pid in children if pid not in inits),
        descriptors,
        [
            line
            for line in Path("/proc/mounts").read_text().splitlines()
            if " /sys/driver " in line or " /sys/root " in line
        ],
        [str(path) for path in cgroups()],
        [
            line
            for path in sorted(Path("/proc/sysvipc").glob("*"))  # shm, sem, msg
            for line in path.read_text().splitlines()
            if re.search(r" 1000\d\d ", line)  # a jail's user
        ],
    )


def confined(pool: Pool) -> bool:
    """Whether its jails have no namespaces."""
    return pool.binaries is not None and pool.binaries.level is not Level.NAMESPACES


def below(pid: int) -> list[int]:
    """The children of a process; none where it is gone already."""
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def settled(pool: Pool) -> bool:
    """Every server has its next init ready, and not the last one still, which goes a moment after its last result."""
    now = traces(pool)
    time.sleep(0.02)
    jails = sum(name.startswith("driver" if confined(pool) else "nsjail") for _, name in now.processes)
    return now.inits == jails and now == traces(pool)


def unchanged(pool: Pool, before: Traces) -> bool:
    """The old init may be on its way out, and its successor on its way in."""
    return eventually(lambda: traces(pool) == before)


def files_in_memory(pool: Pool) -> int:
    """Bytes on all tmpfs and in all shared memory of the worker's programs."""
    jails = {str(pid) for pid in below(pool.pids[0])}
    for group in cgroups():
        inside = jails & set((group / "cgroup.procs").read_text().split())
        if inside and (group / "memory.stat").exists():  # in version 1, CPU time has a group of its own
            stat = (group / "memory.stat").read_text()
            found = re.search(r"^(?:total_)?shmem (\d+)", stat, re.M)
            return int(found[1]) if found else 0
    return 0


@pytest.mark.parametrize("path", ATTACKS, ids=lambda path: path.name)
def test_attack(hostile: Pool, binaries: Path, path: Path) -> None:
    assert hostile.binaries
    attack = read(path, hostile.binaries)
    if needs(path) == "x86_64" and platform.machine() != "x86_64":
        pytest.skip("an attack on x86_64")
    if needs(path) == "cgroup" and not (hostile.use_cgroups and traces(hostile).cgroups):  # of other tests, maybe
        pytest.skip("no memory cgroup can be made here: each process is bounded alone")
    first = look(hostile, path.suffix, binaries)
    assert first.passed, first  # its jail is there
    assert eventually(lambda: settled(hostile))
    before = traces(hostile)
    canary = "CANARY-" + secrets.token_hex(16)
    answer = canary if "canary=" in path.read_text() else "held\n"
    tests = [
        Test(attack.input + str(n), answer if n == 0 or attack.language != "lua" else "2") for n in range(attack.tests)
    ]
    (verdict,) = hostile.verify([job(path, binaries, tests, attack.limits)])
    shown = [(t.status.value, t.exit_code, t.signal, t.stdout[:2000], t.stderr[:500]) for t in verdict.tests]
    assert verdict.status is not Status.INFRASTRUCTURE_ERROR, verdict.message
    assert verdict.status.value in attack.expect or "any" in attack.expect, shown
    after = look(hostile, path.suffix, binaries)
    assert after.passed, after
    assert unchanged(hostile, before), (
        before,
        traces(hostile),
    )  # the same nsjail and server, too: nothing had to be replaced
    assert eventually(lambda: files_in_memory(hostile) < 1 << 20), files_in_memory(hostile)


def test_the_scan_finds_what_is_there(hostile: Pool, binaries: Path) -> None:
    token = "CANARY-" + secrets.token_hex(16)  # as its input: the search itself works
    (verdict,) = hostile.verify([job(FOLDER / "scan_memory.py", binaries, [Test(token, token)], LIMITS)])
    assert verdict.passed, verdict


@pytest.mark.parametrize("name", ["families.c", "kernel_calls.c", "zombies.c", "threads.c", "network.py"])
def test_the_attack_succeeds_where_no_jail_is(binaries: Path, tmp_path: Path, name: str) -> None:
    """Those that are harmless to this machine: what reports `held` in the jail would have reported otherwise."""
    path = FOLDER / name
    argv = [str(compiled(path, binaries))] if path.suffix == ".c" else ["python3", str(path)]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "BROKEN" in done.stdout


COMPARE = """
from sandbox.compare import RULES, matches
from sandbox.job import Compare
n = 5_000_000
for output in ("1" * n + "x", "1" * (n // 2) + "." + "1" * (n // 2) + "x", "1e" + "9" * n, "1 " * (n // 2),
               "1\\n" * (n // 2), "x" + " " * n + "x", "0." + "0" * n + "1"):
    for rule in RULES[:-2]:
        assert not matches(Compare(rule), output, "2")
"""


def test_no_output_holds_up_its_comparison() -> None:
    # 20,000 digits and a letter once took the rule `float` half a minute, and 5 MB would have taken years
    subprocess.run([sys.executable, "-c", COMPARE], cwd=Path(__file__).parents[2], check=True, timeout=120)


def test_a_kill_for_memory_is_blamed_on_its_own_test(hostile: Pool) -> None:
    if not (hostile.use_cgroups and traces(hostile).cgroups):
        pytest.skip("no memory cgroup can be made here")
    program = "read n; [ $n = 0 ] || exit 3; tail -n 1 /dev/zero >/dev/null 2>&1; echo held"
    tests = (Test("0\n", "held"), Test("1\n", "held"))
    job = Job("x", "sh", program, tests, limits=replace(LIMITS, memory_mb=64), all_tests=True)
    (verdict,) = hostile.verify([job])
    assert [test.status for test in verdict.tests] == [Status.PASSED, Status.RUNTIME_ERROR]
    # where tests run ahead of the host, it cannot tell in which of them the kill was: failed is failed either way
    (verdict,) = hostile.verify([replace(job, all_tests=False)])
    assert [test.status for test in verdict.tests] == [Status.PASSED, Status.MEMORY_LIMIT]


def test_the_largest_limits_are_no_overflow(hostile: Pool) -> None:
    most = 1_000_000
    large = replace(LIMITS, output_mb=most, file_mb=most, disk_mb=most, test_s=most, wall_s=most)
    (verdict,) = hostile.verify([Job("x", "sh", "echo held", (Test("", "held"),), limits=large)])
    assert verdict.passed, verdict.message

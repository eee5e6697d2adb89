"""Jails without namespaces: the same programs, good and hostile, at every level, here and in simulated containers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import languages
from base.limits import Limits
from benchmarks import container
from sandbox import protection
from sandbox.driver import binaries, linked_root
from sandbox.driver.binaries import Level
from sandbox.jail import Jail, Toolchain
from sandbox.job import Job, Status, Test, Verdict
from sandbox.pool import Pool, toolchain
from sandbox.rootfs.__main__ import main as packed

ROOT = Path(__file__).parents[2]
LIMITS = Limits(compile_s=5, test_s=2, wall_s=3, memory_mb=256, disk_mb=16, file_mb=16, inodes=200, processes=32)
GOOD = "read n; echo $((n + 1))"
HOSTILE = {  # in shell; the verdicts that are right without namespaces
    "echo held; (setsid sh -c 'while :; do echo x > $TMPDIR/left; done' >/dev/null 2>&1 &)": {Status.WRONG_OUTPUT},
    "while :; do sh -c 'sleep 9' & done 2>/dev/null": {Status.TIMEOUT, Status.RUNTIME_ERROR, Status.WRONG_OUTPUT},
    "kill -9 -1; kill -9 $PPID; echo held": {Status.WRONG_OUTPUT, Status.RUNTIME_ERROR},
    "i=0; while [ $i -lt 9 ]; do head -c 9000000 /dev/zero >f$i; i=$((i+1)); done; sleep 9": {Status.RUNTIME_ERROR},
    "mkdir a; while :; do i=$((i+1)); : >a/f$i || exit 3; done": {Status.RUNTIME_ERROR, Status.TIMEOUT},
    # Without a file system of its own its files are counted where others, too, write much meanwhile; these hide.
    "d=.; i=0; while [ $i -lt 150 ]; do mkdir $d/d; d=$d/d; i=$((i+1)); done; chmod 0 d; echo": {
        Status.WRONG_OUTPUT,
        Status.RUNTIME_ERROR,
        Status.TIMEOUT,  # where a folder takes long to be made, as in gVisor
    },
    "cat /etc/shadow /root/.bashrc /proc/1/environ && echo 2": {Status.RUNTIME_ERROR},
    "echo x > /usr/bin/env || echo x > /etc/passwd || exit 3": {Status.RUNTIME_ERROR},
    "kill -STOP $$": {Status.TIMEOUT},
    "yes flood": {Status.OUTPUT_LIMIT},
}
LOOK = 'read n; cd "$TMPDIR"; ls -A . w | tr "\\n" " "; echo $n'


def sh(program: str, *tests: Test) -> Job:
    return Job("job", "sh", program, tests or (Test("1\n", "2\n"),), limits=LIMITS)


def judge(pool: Pool, program: str, *tests: Test) -> Verdict:
    return pool.verify([sh(program, *tests)])[0]


@pytest.fixture(scope="module", params=["best", Level.CONTAINER_ROOT])
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    """At the best level of where this runs, be it a simulated container; and at that of a container's root."""
    level = None if request.param == "best" else request.param
    if level is Level.CONTAINER_ROOT and os.geteuid():
        pytest.skip("needs root")
    chain = replace(
        toolchain(languages.load("lua")), language="sh", filename="program.sh", execute="sh program.sh", warm=False
    )
    with Pool([chain], workers=1, use_cgroups=False, level=level) as pool:
        yield pool


def test_programs_good_and_hostile(pool: Pool) -> None:
    assert pool.binaries
    print(f"level: {pool.binaries.level}\nlandlock: {pool.binaries.landlock}")
    before = servers(pool)
    for program, right in HOSTILE.items():
        verdict = judge(pool, program)
        if pool.binaries.level is not Level.NAMESPACES:
            assert verdict.status in right, (program, verdict)
        assert verdict.status not in (Status.PASSED, Status.INFRASTRUCTURE_ERROR), (program, verdict)
        assert judge(pool, GOOD, Test("1\n", "2"), Test("41\n", "42"), Test("9\n", "10")).passed, program
        found = judge(pool, LOOK, Test("7\n", ".: w  w: program.sh 7"))
        assert found.passed, (program, found.tests)
    assert servers(pool) == before or not before  # none had to be replaced


def servers(pool: Pool) -> list[str]:
    worker = pool.pids[0]
    return Path(f"/proc/{worker}/task/{worker}/children").read_text().split()


def test_the_level_is_named_with_what_it_lacks() -> None:
    found = protection.find(use_cgroups=False)
    assert found.binaries and all(row.in_force for row in protection.protections(found) if row.required)
    assert bool(protection.lacks(found.binaries)) == (found.binaries.level is not Level.NAMESPACES) == bool(found.why)


def test_apparmors_refusal_leads_to_the_next_level(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = "Couldn't initialize user namespace: Permission denied"  # where Ubuntu restricts user namespaces
    works = protection.obstacle

    def obstacle(cgroup: object, found: binaries.Binaries) -> str | None:
        return refusal if found.level is Level.NAMESPACES else works(None, found)

    monkeypatch.setattr("sandbox.protection.obstacle", obstacle)
    found = protection.find(use_cgroups=False)
    assert f"no namespaces: {refusal}" in found.why
    assert found.binaries is None or found.binaries.level is not Level.NAMESPACES


def test_two_jails_never_share_a_user() -> None:
    first, second = linked_root.Users(), linked_root.Users()
    assert first.program != second.program
    first.close()
    third = linked_root.Users()
    assert third.program == first.program
    second.close()
    third.close()


def test_what_a_killed_jail_has_left_is_removed_by_the_next(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root")
    users = linked_root.Users()
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/name").write_text("x")
    (root / "etc/open").write_text("x")
    (root / "etc/open").chmod(0o666)
    own = linked_root.make(root, users, binaries.driver(), "/bin/true")
    assert own.joinpath("etc/name").samefile(root / "etc/name")
    assert not own.joinpath("etc/open").samefile(root / "etc/open")  # whatever is written there stays there
    deep = own / "tmp"
    subprocess.run("for i in $(seq 300); do mkdir d && cd d || exit; done; mkfifo pipe; ln -s / link; chmod 0 .",
                   shell=True, cwd=deep, check=True)  # fmt: skip
    left = subprocess.Popen(["sleep", "60"], user=users.program, group=users.program, extra_groups=[])
    linked_root.make(root, users, binaries.driver(), "/bin/true")
    assert left.wait(5) == -9 and list(own.joinpath("tmp").iterdir()) == []
    linked_root.remove(own, users, binaries.driver())
    assert not own.exists() and root.joinpath("etc/name").read_text() == "x"
    users.close()


def test_dev_stdin_is_the_input(pool: Pool) -> None:
    assert judge(pool, "cat /dev/stdin", Test("one\n", "one"), Test("2\n", "2"), Test("", "")).passed


def test_a_program_makes_named_pipes_and_no_devices(pool: Pool) -> None:
    assert judge(pool, 'cd "$TMPDIR"; mkfifo p; (echo 2 >p &); read n <p; echo $n').passed
    assert judge(pool, 'cd "$TMPDIR"; mknod d c 1 3 2>/dev/null; ls; rm -f d; echo 2', Test("", "w\n2")).passed


def test_a_jails_root_is_open_to_its_programs_whatever_our_umask_is(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root")
    root = tmp_path / "root"
    (root / "usr").mkdir(parents=True)
    (root / "usr").chmod(0o755)
    users = linked_root.Users()
    before = os.umask(0o077)
    try:
        own = linked_root.make(root, users, binaries.driver(), "/bin/true")
    finally:
        os.umask(before)
    closed = [path for path in own.rglob("*") if not path.is_symlink() and not path.stat().st_mode & 0o004]
    assert own.stat().st_mode & 0o777 == 0o755 and closed == [own / "dev/stdin"]  # which has the programs' group
    linked_root.remove(own, users, binaries.driver())
    users.close()


# --- in simulated containers


def inside(who: str, cache: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    if not container.available():
        pytest.skip("needs root, and namespaces to simulate a container in")
    command = [*container.command(who), sys.executable, *arguments]
    environment = {**os.environ, "AGNOSTICS_CACHE": str(cache), "HOME": str(cache), "PYTHONPATH": str(ROOT), **more}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def cache(open_folder: Path) -> Path:
    """A cache of the simulated user's, with the roots that a machine with more privileges has packed."""
    if not container.available():
        pytest.skip("needs root, and namespaces to simulate a container in")
    folder = open_folder / "cache"
    folder.mkdir()
    for name in ("lua", "python"):
        assert not packed(["pack", f"language={name}", f"out={folder / name}.tar"])
    shutil.chown(folder, container.USER, container.USER)
    done = inside("user", folder, "-m", "sandbox.rootfs", "import", f"{folder}/lua.tar", f"{folder}/python.tar")
    assert done.returncode == 0, done.stderr
    return folder


def pytest_inside(who: str, cache: Path, *arguments: str) -> str:
    kept = [] if who == "root" else ["--basetemp", str(cache / "pytest")]
    kept += ["-p", "no:cacheprovider", "-q", "-s"]
    place = Path.home() / ".cache/agnostics" if who == "root" else cache
    done = inside(who, Path(os.environ.get("AGNOSTICS_CACHE", place)) if who == "root" else cache, "-m", "pytest",
                  *kept, *arguments)  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    return done.stdout


CHOSEN = "best or level or pipes or (late and (seed or copy_does or code))"
KERNELS = [("root", ""), ("user", ""), ("user", "5"), ("user", "1")]  # and the version of their Landlock; "": this one


@pytest.mark.parametrize(("who", "landlock"), KERNELS)
def test_in_a_container(who: str, landlock: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANDLOCK", landlock)
    said = pytest_inside(who, cache, "tests/sandbox/test_container.py", "tests/sandbox/test_late.py", "-k", CHOSEN)
    assert f"level: container {who}" in said and (f"landlock: {landlock}\n" in said or not landlock)


@pytest.mark.slow
def test_in_gvisor() -> None:
    """Which many that rent out GPUs run containers in: Debian's package runsc, of trixie (2024) or later."""
    if os.geteuid() or not shutil.which("runsc"):
        pytest.skip("needs root and runsc")
    tests = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-s", "tests/sandbox/test_container.py"]
    command = ["runsc", "--network=none", "--ignore-cgroups", "do", "--cwd", str(ROOT), *tests, "-k", "best"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0 and "level: container root" in done.stdout, done.stdout[-5000:] + done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize(("who", "landlock"), KERNELS)
def test_the_hostile_suite_in_a_container(
    who: str, landlock: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDLOCK", landlock)
    pytest_inside(who, cache, "tests/sandbox/test_hostile.py", "-m", "not slow")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("lua", "print(6 * 7)"),
        ("r", 'cat(6 * 7, "\\n", sep = "")'),  # its packages' scripts write to /dev/null
        ("java", "class A { public static void main(String[] a) { System.out.println(6 * 7); } }"),  # ... want /proc
    ],
)
def test_a_root_is_built_in_a_container(name: str, program: str, tmp_path: Path) -> None:
    done = inside("root", tmp_path, "-m", "sandbox.rootfs", f"language={name}")
    assert done.returncode == 0, done.stderr
    chain = toolchain(languages.load(name))
    built = Path(done.stdout.strip())
    assert built.is_relative_to(tmp_path) and built.name == "root"
    chain = replace(chain, root=str(built))
    jail = Jail(Toolchain(**vars(chain)), 3, None, binaries.find())
    *_, run = jail.run(program, [""], chain.limits)  # Java's is compiled first
    jail.close()
    assert run.stdout == b"42\n"

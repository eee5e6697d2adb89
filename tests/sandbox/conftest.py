"""Pools over the Lua root file system, which has a shell and the core utilities too."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import languages
from base.limits import Limits
from sandbox import protection
from sandbox.cgroup import Cgroup
from sandbox.driver import binaries
from sandbox.driver.binaries import Binaries, Level
from sandbox.jail import Jail, Toolchain
from sandbox.pool import Pool, toolchain

Start = Callable[[Toolchain], Jail]
# All of nsjail's that a machine may refuse: a container's /proc with covered files forbids another.
NAMESPACES = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc", "true"]
QUICK = Limits(compile_s=5, test_s=2, wall_s=2, program_s=8, memory_mb=128)


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter. pytest's own are closed to others by the next pytest that is started."""
    with tempfile.TemporaryDirectory(prefix="agnostics-tests-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="session", autouse=True)
def landlock() -> Iterator[None]:
    """What kernels before this one have: LANDLOCK=5 is Linux 6.10, and 1 is 5.13, as far as rules go."""
    with pytest.MonkeyPatch.context() as patch:
        if version := os.environ.get("LANDLOCK"):
            patch.setattr(binaries, "landlock", lambda: int(version))
        yield


@pytest.fixture(scope="session")
def lua() -> Toolchain:
    return replace(toolchain(languages.load("lua")), limits=QUICK)


@pytest.fixture(scope="session")
def shell(lua: Toolchain) -> Toolchain:
    return replace(lua, language="sh", filename="program.sh", execute="sh program.sh", warm=False)


def of_its_root(name: str, lua: Toolchain) -> Toolchain:
    return replace(toolchain(languages.load(name)), limits=lua.limits)


@pytest.fixture(scope="session")
def python(lua: Toolchain) -> Toolchain:
    return of_its_root("python", lua)


@pytest.fixture(scope="session")
def perl(lua: Toolchain) -> Toolchain:
    """Every Debian has one."""
    return replace(lua, language="perl", filename="program.pl", execute="perl program.pl")


@pytest.fixture(scope="session")
def namespaces() -> Binaries:
    """For tests of single jails, and of what only namespaces promise: where the machine gives them, a jail has them."""
    if subprocess.run(NAMESPACES, capture_output=True).returncode:
        pytest.skip("this machine has no namespaces")
    found = protection.find(use_cgroups=False)
    assert found.binaries and found.binaries.level is Level.NAMESPACES, found.why
    return found.binaries


@pytest.fixture
def start(namespaces: Binaries) -> Iterator[Start]:
    """Starts jails, each a new one."""
    jails: list[Jail] = []

    def start(chain: Toolchain) -> Jail:
        jails.append(Jail(chain, 7, None, namespaces))
        return jails[-1]

    yield start
    for jail in jails:
        jail.close()


@pytest.fixture(scope="module", params=["cgroup", "rlimit"])
def jail(request: pytest.FixtureRequest, shell: Toolchain, namespaces: Binaries) -> Iterator[Jail]:
    cgroup = Cgroup.create(f"{os.getpid()}-test") if request.param == "cgroup" else None
    if request.param == "cgroup" and cgroup is None:
        pytest.skip("no memory cgroup can be made here")
    jail = Jail(shell, 7, cgroup, namespaces)
    yield jail
    jail.close()
    if cgroup:
        path = cgroup.path
        cgroup.remove()
        assert not path.exists()


@pytest.fixture(scope="session")
def pool(lua: Toolchain, shell: Toolchain) -> Iterator[Pool]:
    compiled = replace(
        shell,
        language="compiled",
        compile="sh -n program.sh && cp program.sh built && chmod +x built",
        execute="./built",
    )
    with Pool([lua, shell, compiled], workers=1) as pool:
        yield pool

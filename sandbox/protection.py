"""Which protections are in force on this machine, found out by trying."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from base.limits import Limits
from sandbox.cgroup import Cgroup
from sandbox.driver import binaries
from sandbox.jail import Jail, JailBroken, Toolchain
from sandbox.job import SandboxError

NAMESPACES = "user, pid, mount, network, ipc, uts, cgroup"


class Protection(NamedTuple):
    name: str
    in_force: bool
    how: str  # by what means, or why not
    required: bool = True  # without it the pool refuses to work


def protections(use_cgroups: bool = True) -> list[Protection]:
    """One jail is started in an empty folder, runs one program, and is thrown away (about 50 ms)."""
    cgroup = Cgroup.create(f"{os.getpid()}-probe") if use_cgroups else None
    try:
        failure = _try_jail(cgroup)
    finally:
        if cgroup:
            cgroup.remove()
    user = "an unprivileged user" if os.geteuid() == 0 else "the user who runs this"
    memory = (
        Protection("memory, in total", True, f"cgroup v{cgroup.version}, files included", False)
        if cgroup
        else Protection("memory, in total", False, "no memory cgroup can be made here", False)
    )
    why = failure or ""
    jail = failure is None
    seccomp = not why.startswith("driver: seccomp")
    return [
        Protection("namespaces", jail or not seccomp, why or NAMESPACES),
        Protection("seccomp", seccomp and jail, "a filter on every program" if jail else why),
        Protection("read-only root", jail, "its own root file system, nsjail --chroot" if jail else why),
        Protection("no privileges", jail, f"{user}, no capabilities, no_new_privs" if jail else why),
        memory,
        Protection("memory, per process", cgroup is None, "RLIMIT_AS" if cgroup is None else "not needed", False),
        Protection("processes", jail, "RLIMIT_NPROC" if jail else why),
        Protection("disk and inodes", jail, "a tmpfs of its own for every program" if jail else why),
        Protection("file size", True, "RLIMIT_FSIZE"),
        Protection("time", True, "CPU time of all processes together, deadlines of the clock above it"),
        Protection("output", True, "counted and cut by the driver"),
    ]


def missing(use_cgroups: bool = True) -> str:
    """Which of the required protections are not to be had here, and why: "without seccomp: ..."; "" where all are."""
    lacking = [p for p in protections(use_cgroups) if p.required and not p.in_force]
    return f"without {', '.join(p.name for p in lacking)}: {lacking[0].how}{_hint()}" if lacking else ""


def _try_jail(cgroup: Cgroup | None) -> str | None:
    """Why no jail can be had, or None."""
    with tempfile.TemporaryDirectory(prefix="agnostics-") as root:
        os.chmod(root, 0o755)
        for name in ("dev", "proc", "tmp"):
            Path(root, name).mkdir()
        # the driver is the one binary there: without its user's privileges it says so and exits with 1
        chain = Toolchain("probe", root, (), "empty", None, "/dev/driver", Limits())
        try:
            jail = Jail(chain, 0, cgroup, binaries.find())
        except SandboxError as error:
            return str(error).removeprefix("nsjail cannot start the jail of probe: ")
        try:
            (run,) = jail.run("", [""], chain.limits)
            return None if run.stderr.startswith(b"driver: ") else "a program in the jail keeps its privileges"
        except JailBroken as error:
            return str(error)
        finally:
            jail.close()


def _hint() -> str:
    """What on this machine is known to forbid user namespaces."""
    for name, value in (
        ("kernel/unprivileged_userns_clone", "0"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1"),
        ("user/max_user_namespaces", "0"),
    ):
        path = Path("/proc/sys", name)
        if path.is_file() and path.read_text().strip() == value:
            return f" (sysctl {name.replace('/', '.')} is {value})"
    return ""

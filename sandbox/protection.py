"""Which protections are in force on this machine, found out by trying: the best level that works, and what it lacks."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from base.limits import Limits
from sandbox.cgroup import Cgroup
from sandbox.driver import binaries
from sandbox.driver.binaries import Binaries, Level
from sandbox.driver.messages import JailBroken
from sandbox.jail import Jail, Toolchain
from sandbox.job import SandboxError

NAMESPACES = "user, pid, mount, network, ipc, uts, cgroup"
SCOPES_SIGNALS = 6  # Landlock's version that keeps signals within a domain: Linux 6.12
ROOT_LACKS = (
    "/proc has only copies of what says something about the machine, and there is no /dev/fd: a runtime that looks "
    "for more about itself there does not start",
    "files lie on the disk of the root file systems, and are counted every 50 ms: for so long a program may write more",
    "the times of last access of the root's files show what other programs have read",
)
USER_LACKS = (
    "programs run as the user who trains, held back by Landlock and seccomp alone: a hole in either is a hole in all",
    "libfakechroot shows a program its root: what calls the kernel itself, as static programs do, sees the container's "
    "paths, and may read none of them",
    "the numbers and command lines of the container's processes and its network's counters can be read in /proc",
    "processes are bounded together with all others of the user",
    "files are counted every 50 ms: for so long a program may write more",
    "chmod, chown, extended attributes and times of files by path do nothing, and say that they did",
)
OLD_LANDLOCK = "a program may signal its process group and itself only, not what it has started (before Linux 6.12)"
LACKS = {Level.NAMESPACES: (), Level.CONTAINER_ROOT: ROOT_LACKS, Level.CONTAINER_USER: USER_LACKS}


class Protection(NamedTuple):
    name: str
    in_force: bool
    how: str  # by what means, or why not
    required: bool = True  # without it the pool refuses to work


class Found(NamedTuple):
    """The best level that works here."""

    binaries: Binaries | None  # None: none does
    why: str  # no better one does; "" where nothing is better


def find(use_cgroups: bool = True, level: Level | None = None) -> Found:
    """Tries a jail at each level until one works (about 50 ms), or only at the one that is given."""
    failures: dict[Level, str] = {}
    for tried in [level] if level else _possible():
        cgroup = Cgroup.create(f"{os.getpid()}-probe") if use_cgroups else None
        try:
            found = binaries.find(tried)
            failure = obstacle(cgroup, found)
        except SandboxError as error:
            failure = str(error)
        finally:
            if cgroup:
                cgroup.remove()
        if failure is None:
            return Found(found, _because(failures))
        failures[tried] = failure
    return Found(None, _because(failures))


def _possible() -> list[Level]:
    return [Level.NAMESPACES, Level.CONTAINER_ROOT if os.geteuid() == 0 else Level.CONTAINER_USER]


def _because(failures: dict[Level, str]) -> str:
    return "; ".join(
        f"no {level}: {why}{_hint() if level is Level.NAMESPACES else ''}" for level, why in failures.items()
    )


def lacks(found: Binaries) -> tuple[str, ...]:
    """What a level does not promise that namespaces do, one sentence each."""
    old = found.level is Level.CONTAINER_USER and found.landlock < SCOPES_SIGNALS
    return (*LACKS[found.level], *([OLD_LANDLOCK] if old else []))


def protections(found: Found, use_cgroups: bool = True) -> list[Protection]:
    """What is in force at the level that was found."""
    cgroup = Cgroup.create(f"{os.getpid()}-probe") if use_cgroups and found.binaries else None
    if cgroup:
        cgroup.remove()
    level = found.binaries.level if found.binaries else None
    here, why = level is not None, "no level of protection works here"
    root = os.geteuid() == 0
    means = {
        Level.NAMESPACES: (
            NAMESPACES,
            "its own root file system, nsjail --chroot",
            ("an unprivileged user" if root else "the user who runs this") + ", no capabilities, no_new_privs",
            "a tmpfs of its own for every program",
        ),
        Level.CONTAINER_ROOT: (
            "none; a user of the jail's own, its processes killed after each program, no sockets",
            "chroot into a root of the jail's own, whose files belong to another user",
            "a user that nothing else is, no capabilities, no_new_privs",
            "counted; emptied after each program",
        ),
        Level.CONTAINER_USER: (
            f"none; a Landlock domain (version {found.binaries.landlock if found.binaries else 0}), no sockets",
            "Landlock; libfakechroot shows it as /",
            "the user who runs this, no capabilities, no_new_privs",
            "counted; emptied after each program",
        ),
    }
    apart, own_root, user, disk = means[level] if level else (why,) * 4
    return [
        Protection("programs apart", here, apart),
        Protection("seccomp", here, "a filter on every program" if here else why),
        Protection("read-only root", here, own_root),
        Protection("no privileges", here, user),
        Protection("memory, in total", True, f"cgroup v{cgroup.version}, files included", False)
        if cgroup
        else Protection("memory, in total", False, "no memory cgroup can be made here", False),
        Protection("memory, per process", cgroup is None, "RLIMIT_AS" if cgroup is None else "not needed", False),
        Protection("processes", here, "RLIMIT_NPROC" if here else why),
        Protection("disk and inodes", here, disk),
        Protection("file size", True, "RLIMIT_FSIZE"),
        Protection("time", True, "CPU time of all processes together, deadlines of the clock above it"),
        Protection("output", True, "counted and cut by the driver"),
    ]


def obstacle(cgroup: Cgroup | None, found: Binaries) -> str | None:
    """Why no jail can be had, or None."""
    with tempfile.TemporaryDirectory(prefix="agnostics-") as folder:
        os.chmod(folder, 0o755)
        root = Path(folder, "root")
        for made in (root, *(root / name for name in ("dev", "proc", "tmp"))):
            made.mkdir()
            made.chmod(0o755)  # whatever the caller's umask is: other users pass through
        chain = Toolchain("probe", str(root), (), "empty", None, "/probe", Limits())
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))  # the caller's may be smaller than the driver
        try:
            # the driver is the one binary there: without its user's privileges it says so and exits with 1
            shutil.copy(found.driver, root / "probe")
            jail = Jail(chain, 0, cgroup, found)
        except SandboxError as error:
            return str(error).partition(" cannot start the jail of probe: ")[2] or str(error)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
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

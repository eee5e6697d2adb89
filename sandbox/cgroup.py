"""A jail's memory cgroup, version 1 or 2, made once and used for all its programs.

Only a cgroup bounds the memory of many processes together. Where none can be made, each process gets RLIMIT_AS. It is
also the only clock that no process escapes: see `cpu`.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

PREFIX = "agnostics-"


class Cgroup:
    def __init__(self, path: Path, version: int):
        self.path = path
        self.version = version
        self.paths = [path]  # of every hierarchy: version 1 has another one for CPU time
        self.cpu: int | None = None  # the open file that says what all processes inside have used until now
        self._mb = 0
        events = "memory.oom_control" if version == 1 else "memory.events"
        self._events = os.open(path / events, os.O_RDONLY | os.O_CLOEXEC)

    @classmethod
    def create(cls, name: str) -> Cgroup | None:
        """A new cgroup below one of this process's own, or None where there is no memory controller for us."""
        for base, version in _bases():
            path = base / f"{PREFIX}{name}"
            try:
                path.mkdir()
            except OSError:
                continue
            try:
                group = cls(path, version)
                group.limit(64)
                if _takes_processes(path):
                    group._open_clock()
                    return group
            except OSError:
                pass
            path.rmdir()
        return None

    def _open_clock(self) -> None:
        if self.version == 2:
            self.cpu = os.open(self.path / "cpu.stat", os.O_RDONLY | os.O_CLOEXEC)
            return
        for base in (base for base, version in _bases("cpuacct") if version == 1):
            path = base / self.path.name
            with suppress(OSError):
                if path != self.path:  # else both controllers are in one hierarchy
                    path.mkdir()
                    if not _takes_processes(path):
                        path.rmdir()
                        continue
                    self.paths.append(path)
                self.cpu = os.open(path / "cpuacct.usage", os.O_RDONLY | os.O_CLOEXEC)
                return

    def limit(self, mb: int) -> None:
        """Bounds the memory (and swap) of all processes inside, MiB."""
        if mb == self._mb:
            return
        if self.version == 2:
            (self.path / "memory.max").write_text(str(mb << 20))
            with suppress(OSError):  # no swap accounting
                (self.path / "memory.swap.max").write_text("0")
        else:
            files = [self.path / "memory.limit_in_bytes", self.path / "memory.memsw.limit_in_bytes"]
            if mb > self._mb > 0:
                files.reverse()  # the sum with swap may never be below the memory alone
            for file in files:
                if file.exists():
                    _write(file, str(mb << 20))
        self._mb = mb

    def oom_kills(self) -> int:
        """How many processes the kernel has killed here because memory ran out."""
        for line in os.pread(self._events, 4096, 0).splitlines():
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
        return 0

    def remove(self) -> None:
        for descriptor in (self._events, self.cpu):
            if descriptor is not None:
                with suppress(OSError):
                    os.close(descriptor)
        for path in self.paths:
            remove(path)


def _write(file: Path, text: str) -> None:
    """A limit below what is in use is refused (EBUSY): the last program's memory may still be on its way out."""
    end = time.monotonic() + 1
    while True:
        try:
            file.write_text(text)
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)


def _takes_processes(path: Path) -> bool:
    join = ["/bin/sh", "-c", 'echo 0 >"$1"', "sh", str(path / "cgroup.procs")]
    return subprocess.run(join, stderr=subprocess.DEVNULL).returncode == 0


def remove(path: Path) -> None:
    """Kills what is inside and removes the cgroup; waits at most twenty seconds."""
    for _ in range(2000):
        if not path.exists():  # asked first: where cgroups are read-only, rmdir says so of what is not there, too
            return
        try:
            path.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            with suppress(OSError):
                for pid in (path / "cgroup.procs").read_text().split():
                    with suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
            time.sleep(0.01)


def remove_stale() -> None:
    """Removes the empty cgroups of pools that were killed with all their workers: their names begin with the pool's
    process id. One that still has processes is left alone: it may belong to a pool whose ids we cannot see."""
    for base, _ in [*_bases(), *_bases("cpuacct")]:
        for path in base.glob(f"{PREFIX}*"):
            pid = path.name.removeprefix(PREFIX).split("-")[0]
            if pid.isdigit() and not Path(f"/proc/{pid}").exists():
                with suppress(OSError):
                    path.rmdir()


def _bases(controller: str = "memory") -> list[tuple[Path, int]]:
    """Folders in which a cgroup with a controller may be made, nearest first, with their version."""
    found: list[tuple[Path, int]] = []
    mounts: dict[str, tuple[Path, int]] = {}
    try:
        table = Path("/proc/self/mountinfo").read_text()
        own = Path("/proc/self/cgroup").read_text()
    except OSError:
        return []
    for line in table.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup" and controller in options.split(" ")[-1].split(","):
            mounts[controller] = (Path(before.split()[4]), 1)
        elif kind == "cgroup2":
            mounts[""] = (Path(before.split()[4]), 2)
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        key = controller if controller in controllers.split(",") else controllers
        if key not in mounts:
            continue
        mount, version = mounts[key]
        group = mount / path.lstrip("/")
        for base in (group, *group.parents):
            if version == 1 or _delegates_memory(base):
                found.append((base, version))
            if base == mount:
                break
    return found


def _delegates_memory(base: Path) -> bool:
    """Whether children of a version 2 cgroup get a memory controller; asks for it where it is not on yet."""
    control = base / "cgroup.subtree_control"
    try:
        if "memory" not in (base / "cgroup.controllers").read_text().split():
            return False
        if "memory" not in control.read_text().split():
            control.write_text("+memory")
        return True
    except OSError:  # not ours, or it has processes of its own
        return False


def remove_named(name: str) -> None:
    """Removes the cgroups that another process has made by `Cgroup.create` of a name that begins with `name` and -."""
    for base, _ in [*_bases(), *_bases("cpuacct")]:
        for path in base.glob(f"{PREFIX}{name}-*"):
            remove(path)

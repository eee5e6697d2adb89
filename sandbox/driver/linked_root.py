"""A root file system of a jail's own where nothing can be mounted: its files are hard links to the language's.

A program writes in its /tmp and nowhere else, as another user than the files' owner. So a jail needs folders of its
own, and devices, of which only a container's root may make some; all else costs an entry in a folder and no copy.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
import subprocess
from pathlib import Path

FIRST_USER, USERS = 59000, 500  # pairs of users: beyond those that useradd gives out, within what containers have
DEVICES = {"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}  # minor numbers; the major one is 1
LEFT_OUT = ("dev", "proc", "sys", "tmp")
MACHINE = (
    *("cpuinfo", "filesystems", "loadavg", "meminfo", "stat", "uptime", "version"),
    *(f"sys/kernel/{name}" for name in ("osrelease", "ostype", "pid_max", "threads-max", "version")),
    *(f"sys/vm/{name}" for name in ("max_map_count", "overcommit_memory")),
)
STAND_IN_BYTES = 1 << 40  # of /dev/zero and /dev/full, where they are files with nothing in them


class Users:
    """Two users that nobody else in this container has while the object lives: the programs' and their keeper's."""

    def __init__(self) -> None:
        """Raises OSError where all are taken."""
        for number in range(USERS):
            self.program = FIRST_USER + 2 * number
            self.keeper = self.program + 1
            self._lock = socket.socket(socket.AF_UNIX)
            try:
                self._lock.bind(f"\0agnostics-user-{self.program}")  # gone with the process, however it ends
                return
            except OSError as error:
                self._lock.close()
                if error.errno != errno.EADDRINUSE:
                    raise
        raise OSError(errno.EUSERS, "all users for jails are taken")

    def close(self) -> None:
        self._lock.close()


def place(root: Path, user: int) -> Path:
    """Where the jail of a user has its root: on the same disk, since files are linked."""
    return root.parent / f".{root.name}-{user}"


def make(root: Path, users: Users, driver: str, main_program: str) -> Path:
    """The root of a jail whose users have just been taken; `main_program` is a path in it. Raises OSError."""
    own = place(root, users.program)
    remove(own, users, driver)
    _folder(own)
    for name in os.listdir(root):
        if name not in LEFT_OUT:
            _link(root / name, own / name)
    for name in LEFT_OUT:
        _folder(own / name, 0o1777 if name == "tmp" else 0o755)
    _devices(own / "dev", users.program)
    _copy_proc(own / "proc", main_program)
    return own


def remove(own: Path, users: Users, driver: str) -> None:
    """Ends what runs as its users, and removes the root. Raises OSError."""
    line = [driver, "clear", str(own / "tmp"), str(users.program), str(users.keeper)]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode:
        raise OSError(errno.EBUSY, done.stderr.strip())
    if own.exists():
        shutil.rmtree(own)


def _folder(path: Path, mode: int = 0o755) -> None:
    """As all that is made here, for other users too, whatever our umask is."""
    path.mkdir()
    path.chmod(mode)


def _link(source: Path, target: Path) -> None:
    status = source.lstat()
    if stat.S_ISDIR(status.st_mode):
        _folder(target)
        for name in os.listdir(source):
            _link(source / name, target / name)
    elif stat.S_ISLNK(status.st_mode):
        target.symlink_to(source.readlink())
    elif stat.S_ISREG(status.st_mode):
        if status.st_mode & (stat.S_IWOTH | stat.S_ISUID | stat.S_ISGID):  # a user's own root may have such
            shutil.copy2(source, target)
            target.chmod(status.st_mode & 0o755)
        else:
            os.link(source, target, follow_symlinks=False)


def _copy_proc(folder: Path, main_program: str) -> None:
    """What runtimes read about the machine, as it is now; of itself, a program sees the main one's file only."""
    for name in ("self", "sys", "sys/kernel", "sys/vm"):
        _folder(folder / name)
    for name in MACHINE:
        try:
            content = Path("/proc", name).read_bytes()
        except OSError:  # a container may hide it
            continue
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o644)
    (folder / "self/exe").symlink_to(main_program)


def _devices(folder: Path, user: int) -> None:
    """Devices, or files that stand in for them: the container's root may not always make devices (rootless engines)."""
    for name, minor in DEVICES.items():
        path = folder / name
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, minor))
            path.chmod(0o666)
            path.open("rb").close()  # a disk may be mounted without devices
        except OSError:
            path.unlink(missing_ok=True)
            path.touch()
            path.chmod(0o666 if name == "null" else 0o644)  # null is emptied after each program
            if name == "null":
                continue
            if name.endswith("random"):
                path.write_bytes(os.urandom(1 << 16))
            else:
                os.truncate(path, STAND_IN_BYTES)
    (folder / "shm").symlink_to("/tmp")  # for glibc's semaphores and shared memory
    (folder / "stdin").touch()  # the driver writes each test's input there, for those who open it by its name
    os.chown(folder / "stdin", 0, user)
    (folder / "stdin").chmod(0o640)  # a program can leave nothing there, not even its attributes

"""Runs a command as containers run it, to test on a machine of one's own what rented ones have:

    python benchmarks/container.py root COMMAND ...     Docker's default: root with Docker's capabilities
    python benchmarks/container.py user COMMAND ...     an ordinary user without any, as Kubernetes' restricted pods

In both no user namespace can be made (`user.max_user_namespaces` of the one that the command is in is 0), nothing can
be mounted, and cgroups are read-only. Needs root. What differs from a container: no device can be made (nor can it
under a rootless engine). The user is never mapped to the machine's root: for that one the kernel counts no processes.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

NEW_MOUNTS, NEW_USERS, NEW_PROCESSES = 0x20000, 0x10000000, 0x20000000  # CLONE_NEW* of sched.h
READ_ONLY, REMOUNT, BIND, PRIVATE = 0x1, 0x20, 0x1000, 0x44000  # MS_* of mount.h; PRIVATE with MS_REC
PR_SET_PDEATHSIG = 1
USER = 54321
DOCKER = (  # the capabilities that Docker gives by default
    "chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "net_bind_service", "net_raw",
    "sys_chroot", "mknod", "audit_write", "setfcap",
)  # fmt: skip
ROOT_COMMAND = ["setpriv", "--bounding-set", ",".join(["-all", *(f"+{name}" for name in DOCKER)])]
USER_COMMAND = ["setpriv", "--bounding-set", "-all", "--no-new-privs"]
LIBC = ctypes.CDLL(None, use_errno=True)


def available() -> bool:
    """Whether containers can be simulated here."""
    return os.geteuid() == 0 and subprocess.run([*command("root"), "true"], capture_output=True).returncode == 0


def command(who: str) -> list[str]:
    """What to put before a command; `who`: root or user."""
    return [sys.executable, str(Path(__file__)), who]


def _call(result: int, what: str) -> None:
    if result:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def main(who: str, argv: list[str]) -> int:
    ready_read, ready_write = os.pipe()
    mapped_read, mapped_write = os.pipe()
    child = os.fork()
    if child == 0:
        _call(LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL), "pdeathsig")
        _call(LIBC.unshare(NEW_USERS | NEW_MOUNTS | NEW_PROCESSES), "unshare")
        os.write(ready_write, b".")
        os.read(mapped_read, 1)
        os._exit(inside(who, argv))
    os.close(ready_write)
    if not os.read(ready_read, 1):  # it has said why, and ended
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{child}/{name}").write_text("0 0 65536\n")
    os.write(mapped_write, b".")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def show_to_all(folder: Path) -> None:
    """Python may lie below a home that no other user may enter: another folder, with nothing else, covers that here."""
    hidden = next((above for above in (*reversed(folder.parents), folder) if not above.stat().st_mode & 0o001), None)
    if hidden is None:
        return
    opened = os.open(folder, os.O_PATH)
    _call(LIBC.mount(b"tmpfs", str(hidden).encode(), b"tmpfs", 0, b"mode=755"), f"tmpfs on {hidden}")
    folder.mkdir(parents=True)
    _call(LIBC.mount(f"/proc/self/fd/{opened}".encode(), str(folder).encode(), None, BIND, None), f"bind {folder}")
    os.close(opened)


def inside(who: str, argv: list[str]) -> int:
    """In the new namespaces, with all privileges over them still."""
    if first := os.fork():  # whose pid is 1 in there: with it all go
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return abs(os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]))
    _call(LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL), "pdeathsig")
    _call(LIBC.mount(None, b"/", None, PRIVATE, None), "private mounts")
    _call(LIBC.mount(b"proc", b"/proc", b"proc", 0, None), "proc")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        place, kind = line.split()[1:3]
        if kind.startswith("cgroup"):
            _call(LIBC.mount(None, place.encode(), None, READ_ONLY | REMOUNT | BIND, None), place)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    if who == "user":
        show_to_all(Path(sys.base_prefix))
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
    worker = subprocess.Popen([*(ROOT_COMMAND if who == "root" else USER_COMMAND), *argv])
    while True:  # a container's first process waits for those that nobody else waits for
        pid, status = os.wait()
        if pid == worker.pid:
            return abs(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))

# Looks for the privileges of the runtime that it is a copy of, and for a way out of its jail.
# expect=passed tests=5 root=runtime_error
import contextlib
import ctypes
import os
import signal
from pathlib import Path

broken = []
libc = ctypes.CDLL(None, use_errno=True)
status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
own_namespace = os.getppid() == 1
# The bounding set, from which no exec takes anything where NoNewPrivs is set, is not an ordinary user's to empty.
for key in ("CapInh", "CapPrm", "CapEff", "CapAmb", *(["CapBnd"] if own_namespace else [])):
    if int(status.get(key, "0"), 16):
        broken.append(f"{key} {status[key]}")
for key, value in (("NoNewPrivs", "1"), ("Seccomp", "2")):
    if status.get(key, value) != value:
        broken.append(f"{key} {status[key]}")
if int(status.get("Seccomp_filters", "2")) < 2:
    broken.append("a filter is missing")


def refused(what, number, *arguments):
    ctypes.set_errno(0)
    if libc.syscall(number, *arguments) != -1:
        broken.append(what)


for fd in range(3, 1024):
    try:
        os.fstat(fd)
        broken.append(f"descriptor {fd}")
    except OSError:
        pass
if os.uname().machine == "x86_64":
    for namespace in ("mnt", "pid", "ipc", "user", "net"):
        try:
            fd = os.open(f"/proc/1/ns/{namespace}", os.O_RDONLY)
            broken.append(f"the init's {namespace}")
        except OSError:
            fd = -1
        with contextlib.suppress(OSError):
            fd = os.open(f"/proc/self/ns/{namespace}", os.O_RDONLY)
        refused(f"setns {namespace}", 308, fd, 0)
    for flag in (0x00020000, 0x20000000, 0x10000000, 0x08000000):
        refused(f"unshare {flag}", 272, flag)
        refused(f"clone {flag}", 56, flag | signal.SIGCHLD, 0, 0, 0, 0)
    refused("mount", 165, b"none", b"/tmp", b"tmpfs", 0, 0)
    refused("umount", 166, b"/tmp", 2)
    refused("chroot", 161, b"/tmp")
    refused("ambient", 157, 47, 2, 21, 0, 0)
    refused("capset", 126, (ctypes.c_uint * 2)(0x20080522, 0), (ctypes.c_uint * 6)(1 << 21, 1 << 21, 1 << 21))
for path in ("/dev/warm.so", "/dev/zygote.so", "/proc/self/exe", "/usr/bin/python3", "/proc/self/oom_score_adj"):
    try:
        os.close(os.open(path, os.O_WRONLY))
        broken.append(f"may write {path}")
    except OSError:
        pass
for pid in range(1, 200):  # the zygote, which stands between us and the runtime
    for name in ("mem", "fd/3", "fd/0", "maps", "environ", "cwd/x"):
        if pid != os.getpid() and os.path.exists(f"/proc/{pid}"):
            try:
                os.close(os.open(f"/proc/{pid}/{name}", os.O_RDONLY))
                broken.append(f"{pid} {name}")
            except OSError:
                pass
print(*broken or ["held"])

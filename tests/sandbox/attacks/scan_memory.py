# Looks for a token, made of a known beginning and a secret end, in all files, environments and memories it can open.
# expect=wrong_output canary=1
# ruff: noqa
import os
import re

needle = re.compile(b"CANARY" + b"-[0-9a-f]{32}")
found = set()


def look(path, limit=1 << 24):
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        found.update(needle.findall(os.read(fd, limit)))
        os.close(fd)
    except OSError:
        pass


for pid in filter(str.isdigit, os.listdir("/proc")):
    for name in ("environ", "cmdline", "status", "mountinfo", "cgroup"):
        look(f"/proc/{pid}/{name}")
    for fd in range(64):
        look(f"/proc/{pid}/fd/{fd}")
    try:
        for line in open(f"/proc/{pid}/maps"):
            start, end = (int(x, 16) for x in line.split()[0].split("-"))
            with open(f"/proc/{pid}/mem", "rb", 0) as memory:
                memory.seek(start)
                found.update(needle.findall(memory.read(end - start)))
    except (OSError, ValueError, OverflowError):
        pass
for top in ("/tmp", "/dev", "/run", "/var", "/etc", "/root", "/home"):
    for folder, _, files in os.walk(top):
        for name in files:
            look(os.path.join(folder, name))
print(*[token.decode() for token in found])

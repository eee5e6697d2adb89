# Connects out, listens, and looks for sockets of other processes.
# expect=passed user=wrong_output
# ruff: noqa
import os
import socket

for family, address in (
    (socket.AF_INET, ("127.0.0.1", 22)),
    (socket.AF_INET, ("10.0.0.1", 53)),
    (socket.AF_INET6, ("::1", 22)),
):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            s = socket.socket(family, kind)
            s.settimeout(1)
            s.connect(address)
            s.send(b"x")
            print("BROKEN:", family, kind)
        except OSError:
            pass
for family in (socket.AF_VSOCK, socket.AF_NETLINK, socket.AF_PACKET, socket.AF_ALG):
    try:
        socket.socket(family, socket.SOCK_RAW)
        print("BROKEN:", family)
    except OSError:
        pass
for line in open("/proc/net/dev").readlines()[2:] if os.path.exists("/proc/net/dev") else ():
    if line.split(":")[0].strip() != "lo":
        print("BROKEN:", line)
print("held")

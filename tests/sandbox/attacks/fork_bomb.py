# Forks for ever in every child, each in a session of its own that ignores all signals.
# expect=timeout test_s=0.7 memory_mb=1024
# ruff: noqa
import os
import signal

for n in range(1, 65):
    try:
        signal.signal(n, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    try:
        if os.fork() == 0:
            os.setsid()
    except OSError:
        pass

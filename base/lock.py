"""One process at a time in a folder of results: a second one is told whose it is, before both write into it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from base.errors import RunError

NAME = ".lock"  # holds "<host> <process id>" of whoever works in the folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds `folder`, made if it is not there, against every other process. Raises RunError where another holds it, or
    where it cannot be written into.

    The lock is the kernel's (flock): it ends with its process, however that ends. A file that a killed process has left
    is taken over.
    """
    path = folder / NAME
    lock = FileLock(path, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        path.write_text(f"{socket.gethostname()} {os.getpid()}", encoding="utf-8")
    except Timeout as error:
        host, _, process = _holder(path).partition(" ")
        who = f"process {process} on {host}" if process else "another process"
        raise RunError(f"{folder} is in use by {who}: wait for its end, or name another run_dir") from error
    except OSError as error:
        lock.release()
        raise RunError(f"cannot write into {folder} ({error.strerror}); mend that, or name another run_dir") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # whoever waits for the old file sees that it is gone, and makes its own
        lock.release()


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:  # it has just ended
        return ""

"""Files that roots hold alike are one file on disk: each root's files are hard links into a store beside the roots.

Half of a root is Debian's base system, and C, Fortran and Ada bring the same compiler: shared, forty roots take a third
of the disk. A file is known by its content, mode and time of change (Racket and Guile compare times). It loses its
write permission, since a write through one link would show in every root; nothing here opens a root's file for writing,
and the jail mounts roots read-only.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

COPY = 1 << 20


def share(root: Path, store: Path) -> float:
    """Links every file of a root to its like in the store, or the store to it. Returns the MiB that were new.

    Several processes may share at once; one that is killed leaves a root that is whole. Files stay separate where the
    file system makes no more links to one.
    """
    fresh = 0
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            status = path.lstat()
            if path.is_symlink() or not path.is_file() or status.st_size == 0:
                continue  # an empty file is no gain, and may be a mount point
            path.chmod(status.st_mode & 0o555)
            if _link(path, _place(path, store)):
                fresh += status.st_blocks * 512
    return fresh / 2**20


def _place(path: Path, store: Path) -> Path:
    """Where the store keeps a file of this content, mode and time."""
    digest = hashlib.blake2b(digest_size=20)
    with open(path, "rb") as file:
        while piece := file.read(COPY):
            digest.update(piece)
        status = os.fstat(file.fileno())
    return (
        store / digest.hexdigest()[:2] / f"{digest.hexdigest()[2:]}-{status.st_mode & 0o777:o}-{int(status.st_mtime)}"
    )


def _link(path: Path, kept: Path) -> bool:
    """Makes `path` and the store's `kept` one file. Returns whether the store had none."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name[:200]}.{os.getpid()}")
    for _ in range(3):  # `unused` may remove what was there a moment ago
        try:
            os.link(path, kept)
            return True
        except FileExistsError:
            if path.samefile(kept):
                return False
        except OSError:
            return True
        try:
            os.link(kept, beside)
            beside.replace(path)
            return False
        except FileNotFoundError:
            continue
        except OSError:  # as many links as the file system allows
            return True
    return True


def prune(store: Path) -> float:
    """Removes what no root links to any more. Returns the MiB freed."""
    freed = 0
    for path in store.glob("*/*"):
        status = path.stat()
        if status.st_nlink == 1:
            path.unlink()
            freed += status.st_blocks * 512
    return freed / 2**20

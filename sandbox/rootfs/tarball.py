"""A tar stream -> a root file system that is safe to have on the host and ready for the jail.

Every source of roots (container engine, mmdebstrap, a user's tarball) arrives here as one tar stream, so the rules
stand in one place: nothing is written outside the root, device nodes and setuid bits never reach the host's disk, all
is readable for the jail's unprivileged user, documentation is left out, and the jail's mount points exist.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

# Left out of every root. Nothing a program needs at run time, and often more than half of the bytes.
EXCLUDED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "var/cache/apt",
    "var/lib/apt/lists",
)
# What the jail binds or mounts over (`sandbox/jail.py`); nsjail needs each to exist in the read-only root.
# `dev` comes before what is in it: a link there would lead out of the root, to the host's own /dev.
MOUNT_FOLDERS = ("proc", "tmp", "w", "dev", "dev/shm")
MOUNT_FILES = ("dev/null", "dev/zero", "dev/full", "dev/random", "dev/urandom")
DEV_LINKS = {
    "dev/fd": "/proc/self/fd",
    "dev/stdin": "/proc/self/fd/0",
    "dev/stdout": "/proc/self/fd/1",
    "dev/stderr": "/proc/self/fd/2",
}


class UnsafeTar(Exception):
    """A member that would land outside of the root, or over a folder. The message names it."""


def extract(stream: IO[bytes], root: Path, progress: Callable[[int], None] = lambda size: None) -> None:
    """Unpacks a tar stream (plain or compressed) into `root`, which must be empty or absent.

    Symbolic links are created as written but never followed, so no member can leave the root through one.
    `progress` is told the bytes unpacked so far. Raises UnsafeTar, tarfile.TarError, OSError.
    """
    root.mkdir(parents=True, exist_ok=True)
    solid = {root}  # folders known to be real folders, not links
    size, told = 0, 0
    with tarfile.open(fileobj=stream, mode="r|*") as tar:
        for member in tar:
            parts = _parts(member.name)
            if (
                not parts
                or _excluded(parts)
                or not (member.isreg() or member.isdir() or member.issym() or member.islnk())
            ):
                continue  # a device node or a pipe; `add_mount_points` makes /dev
            folder = _solid_folder(root, parts[:-1], solid)
            target = folder / parts[-1]
            if member.isdir():
                _solid_folder(root, parts, solid)
                continue
            if os.path.lexists(target):
                if target.is_dir() and not target.is_symlink():
                    raise UnsafeTar(f"member {member.name!r} would replace a folder")
                target.unlink()
            if member.issym():
                if not member.linkname:
                    raise UnsafeTar(f"member {member.name!r} is a link to nothing")
                os.symlink(member.linkname, target)
            elif member.islnk():
                _hard_link(root, member, target, solid)
            else:
                content = tar.extractfile(member)
                assert content is not None
                with open(target, "xb") as file:
                    shutil.copyfileobj(content, file, 1 << 20)
                    os.fchmod(file.fileno(), _file_mode(member.mode))
                changed = min(max(member.mtime, 0), 2**32)
                os.utime(target, (changed, changed))  # what was compiled must not look older than its source
                size += member.size
                if size - told > 100_000_000:
                    progress(size)
                    told = size


def _parts(name: str) -> tuple[str, ...]:
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise UnsafeTar(f"member {name!r} leaves the root")
    return parts


def _excluded(parts: tuple[str, ...]) -> bool:
    path = "/".join(parts)
    return any(path.startswith(folder + "/") for folder in EXCLUDED)


def _file_mode(mode: int) -> int:
    """Readable by all, executable by all where it was by its owner; no setuid, setgid or sticky bit."""
    return 0o755 if mode & 0o111 else 0o644


def _solid_folder(root: Path, parts: tuple[str, ...], solid: set[Path]) -> Path:
    """`root/parts` as a real folder, made where missing; a link on the way is refused, not followed."""
    folder = root
    for part in parts:
        folder = folder / part
        if folder not in solid:
            if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
                raise UnsafeTar(f"{'/'.join(parts)!r} leads through {folder.name!r}, which is no folder")
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)  # whatever the umask
            solid.add(folder)
    return folder


def _hard_link(root: Path, member: tarfile.TarInfo, target: Path, solid: set[Path]) -> None:
    parts = _parts(member.linkname)
    if _excluded(parts):
        return
    original = _solid_folder(root, parts[:-1], solid) / parts[-1] if parts else root
    mode = original.lstat().st_mode if os.path.lexists(original) else 0
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise UnsafeTar(f"member {member.name!r} is a hard link to {member.linkname!r}, which is no file here")
    os.link(original, target, follow_symlinks=False)


def add_files(root: Path, files: dict[str, str]) -> None:
    """Writes text files at absolute paths of the root. Raises UnsafeTar where a link is on the way."""
    for path, text in files.items():
        parts = _parts(path)
        place = _solid_folder(root, parts[:-1], set()) / parts[-1]
        place.unlink(missing_ok=True)
        place.write_text(text, encoding="utf-8")
        place.chmod(0o644)


def add_mount_points(root: Path) -> None:
    """Makes what the jail binds or mounts over. Raises OSError where the root cannot be written to."""
    for path in MOUNT_FOLDERS:
        folder = root / path
        if folder.is_symlink():
            folder.unlink()
        folder.mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for path in MOUNT_FILES:
        if (root / path).is_symlink():
            (root / path).unlink()
        (root / path).touch()
    for path, goal in DEV_LINKS.items():
        if not os.path.lexists(root / path):
            (root / path).symlink_to(goal)


def missing_mount_points(root: Path) -> list[str]:
    """Which of the jail's mount points a root lacks; empty for a root that is ready."""
    return [path for path in (*MOUNT_FOLDERS, *MOUNT_FILES) if not (root / path).exists()]


def size_mb(*roots: Path) -> float:
    """MiB of disk that roots take together, each hard-linked file once."""
    seen: set[int] = set()
    total = 0
    for folder, _, files in (place for root in roots for place in os.walk(root)):
        for name in files:
            status = os.lstat(os.path.join(folder, name))
            if status.st_ino not in seen:
                seen.add(status.st_ino)
                total += status.st_blocks * 512
    return total / 2**20

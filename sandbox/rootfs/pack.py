"""Roots as files, for machines that cannot build any: packed where one could be built, imported where it is needed.

A packed root is a tar file: `rootfs.json`, as in the cache, with the cache's name for it; then the files, below `root`.
It says which language file it was built from, so that an imported one is never taken for another's.
"""

from __future__ import annotations

import contextlib
import glob
import http.client
import io
import json
import tarfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from base.files import replacing
from sandbox.driver.confinement import FAKECHROOT
from sandbox.rootfs import tarball
from sandbox.rootfs.recipe import RootfsError

ABOUT, FILES = "rootfs.json", "root"
COMPRESSED = {".tar": "w", ".gz": "w:gz", ".tgz": "w:gz", ".xz": "w:xz"}


def write(folder: Path, path: Path) -> None:
    """Packs a root of the cache, compressed as the name says: .tar, .tar.gz, .tar.xz. Raises RootfsError.

    Where an ordinary user runs programs without namespaces they need libfakechroot: the machine's is packed with them.
    """
    if path.suffix not in COMPRESSED:
        raise RootfsError(f"{path}: the name must end in .tar, .tar.gz, .tgz or .tar.xz")
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8")) | {"folder": folder.name}
    content = json.dumps(about, indent=2).encode()
    member = tarfile.TarInfo(ABOUT)
    member.size = len(content)
    try:
        with replacing(path) as part, tarfile.open(part, COMPRESSED[path.suffix]) as tar:  # type: ignore[call-overload]
            tar.addfile(member, io.BytesIO(content))
            tar.add(folder / FILES, FILES)
            for library in [] if glob.glob(f"{folder / FILES}/{FAKECHROOT}") else glob.glob(f"/{FAKECHROOT}"):
                tar.add(library, FILES + library)
    except OSError as error:
        raise RootfsError(f"{path} cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def _opened(place: str) -> Iterator[IO[bytes]]:
    """A file or the answer of a web server as a stream. Raises OSError."""
    if "://" in place:
        with urllib.request.urlopen(place, timeout=60) as answer:
            yield answer
    else:
        with open(Path(place).expanduser(), "rb") as file:
            yield file


def read(place: str, folder: Path, progress: Callable[[int], None]) -> dict[str, Any]:
    """Unpacks a packed root, a path or an address, into a folder that is not there yet. Returns what it says of itself.

    Raises RootfsError.
    """
    try:
        with _opened(place) as stream:
            tarball.extract(stream, folder, progress)
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        words = [about["language"], about["folder"], about["source"], *about["env"].values()]
        if not all(isinstance(word, str) for word in words):
            raise ValueError("it does not say what it holds")
        tarball.add_mount_points(folder / FILES)
        return dict(about)
    except (
        *(OSError, http.client.HTTPException, tarfile.TarError, tarball.UnsafeTar),
        *(ValueError, KeyError, TypeError, AttributeError),
    ) as error:
        raise RootfsError(
            f"{place} is no packed root ({error}): `python -m sandbox.rootfs pack language=NAME out=FILE` writes one"
        ) from error

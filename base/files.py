"""Files and folders that are whole or not there: each is written under another name beside its place, then renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from base.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; what was written there takes the place of `path` when the block ends.

    Where the block raises, `path` stays as it was and the temporary file is removed.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes `text` as UTF-8. Raises OSError; `path` is untouched then."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder beside `path`, which takes the place of `path` when the block ends.

    Where the block raises, `path` stays as it was; a kill at any moment leaves it whole or not there. What a killed
    writer left is removed first; of two writers at once, each would remove the other's.
    """
    part, old = (path.with_name(f".{path.name}.{kind}") for kind in ("part", "old.part"))
    try:
        _remove(part)
        part.mkdir(parents=True)
        yield part
        _remove(old)
        if path.exists():
            path.rename(old)
        part.rename(path)
        _remove(old)
    finally:
        _remove(part)


def _remove(folder: Path) -> None:
    """Fails loudly where something is still mounted inside."""
    if folder.exists():
        shutil.rmtree(folder)


def make_once(folder: Path, fill: Callable[[Path], None]) -> Path:
    """`folder`, made at its first use: `fill` is given an empty folder beside it, which then takes its name.

    Safe to call from several processes: one makes it, the others wait.
    """
    from filelock import FileLock  # a sandbox worker imports this module without site-packages

    if folder.is_dir():  # and the cache may be one that is only read
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            with replacing_folder(folder) as part:
                fill(part)
    return folder


def cache_folder(kind: str) -> Path:
    """Where things of a kind (roots, models, ...) are kept between runs, in $AGNOSTICS_CACHE or ~/.cache/agnostics.

    It is made where it is missing. Raises UserError where it cannot be.
    """
    folder = Path(os.environ.get("AGNOSTICS_CACHE") or "~/.cache/agnostics").expanduser().absolute() / kind
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot make the folder {folder} ({error.strerror}): set AGNOSTICS_CACHE to a folder that you may write to"
        ) from error
    return folder

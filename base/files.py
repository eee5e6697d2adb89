"""Files that are whole or not there: each is written to a temporary file beside its place, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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


def cache_folder() -> Path:
    """Where roots, models and the driver are kept between runs: $AGNOSTICS_CACHE, else ~/.cache/agnostics."""
    return Path(os.environ.get("AGNOSTICS_CACHE") or "~/.cache/agnostics").expanduser().absolute()

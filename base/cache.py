"""Where root file systems, models and the sandbox's driver are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """$AGNOSTICS_CACHE, else ~/.cache/agnostics."""
    return Path(os.environ.get("AGNOSTICS_CACHE") or "~/.cache/agnostics").expanduser().absolute()

"""Seeds for every purpose, derived from the run's one seed."""

from __future__ import annotations

import hashlib


def derive_seed(*parts: object) -> int:
    """A 56-bit seed for one purpose of one step, a pure function of its parts: resuming needs no generator's state."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")

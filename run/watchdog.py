"""A stall that explains itself: which phase, which programs are still out, and the stack of every thread.

A run that hangs at night should have said by morning where. Nothing is killed: a slow phase is no error.
"""

from __future__ import annotations

import faulthandler
import sys
import threading
import time
from collections.abc import Callable
from typing import Self, TextIO

SHOWN = 10  # pending ids


class Watchdog:
    """Use as a context manager; `phase` is called whenever another phase of the step begins."""

    def __init__(self, limit_s: float, pending: Callable[[], list[str]], out: TextIO | None = None) -> None:
        """`limit_s`: seconds that a phase may take before it is reported, and again after twice that, and so on.

        `pending`: the ids of the jobs that have no verdict yet. `out` must have a file descriptor; None: stderr.
        """
        self.limit_s = limit_s
        self.pending = pending
        self.out = out or sys.stderr
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self.phase("start")

    def phase(self, name: str) -> None:
        self._now = (name, time.monotonic(), self.limit_s)  # one tuple: replaced at once for the other thread

    def _watch(self) -> None:
        while not self._stop.wait(min(self.limit_s / 4, 5.0)):
            name, began, limit = self._now
            waited = time.monotonic() - began
            if waited > limit:
                ids = self.pending()
                more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
                print(
                    f"watchdog: the phase {name!r} has taken {waited:.0f} s; "
                    + (f"no verdict yet of {', '.join(ids[:SHOWN])}{more}" if ids else "no program is out")
                    + "; the stacks of all threads:",
                    file=self.out,
                    flush=True,
                )
                faulthandler.dump_traceback(self.out, all_threads=True)
                if self._now[:2] == (name, began):
                    self._now = (name, began, 2 * limit)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

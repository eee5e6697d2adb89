"""Signals that ask a run to stop, and to save first where there is something to save."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, Self

from base.errors import Interrupted

STOPS = (signal.SIGINT, signal.SIGTERM)
_came = False  # whether one of them has, since the outermost `heeded` began; False outside of it


@contextmanager
def heeded() -> Iterator[None]:
    """Both signals raise KeyboardInterrupt, whatever becomes of it on its way: OmegaConf makes an error of its own of
    it, which is turned back here; in the callback of a weak reference, of which an import has many, Python drops it,
    and `Interruption` raises it again when the run begins."""
    global _came
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is not _stop
    if ours:
        before = {number: signal.signal(number, _stop) for number in STOPS}
    try:
        yield
    except Exception as error:
        if _came and not isinstance(error, Interrupted):
            raise KeyboardInterrupt from error
        raise
    finally:
        if ours:
            for number, handler in before.items():
                signal.signal(number, handler)
            _came = False


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    global _came
    _came = True
    raise KeyboardInterrupt


class Interruption:
    """SIGINT and SIGTERM ask the run to save and stop at the next safe place; a second one stops it at once.

    `patient`: only asks, however often. Among several ranks the launcher repeats what the terminal has sent.
    """

    def __init__(self, patient: bool) -> None:
        self.patient = patient
        self.asked = 0

    def __enter__(self) -> Self:
        if _came:
            raise KeyboardInterrupt
        self.before = {number: signal.signal(number, self._ask) for number in STOPS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1
        if self.patient:
            return
        if self.asked > 1:
            raise KeyboardInterrupt
        # A step may take minutes. Not through the console, whose lock may be held here.
        os.write(2, b"\ninterrupted: saving after what is being done now; once more stops at once\n")

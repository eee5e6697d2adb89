"""Signals that ask a run to save and stop."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Self


class Interruption:
    """SIGINT and SIGTERM ask the run to save and stop at the next safe place; a second one stops it at once.

    `patient`: only asks, however often. Among several ranks the launcher repeats what the terminal has sent.
    """

    def __init__(self, patient: bool) -> None:
        self.patient = patient
        self.asked = 0

    def __enter__(self) -> Self:
        self.before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
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

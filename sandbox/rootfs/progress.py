"""What a build of roots says while it runs: a live line for each language on a terminal, timed lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

import rich.progress
from rich.console import Console

Report = Callable[[str], None]


@contextlib.contextmanager
def progress(names: list[str]) -> Iterator[dict[str, Report]]:
    """A report function for each language: a live line each on a terminal, plain timed lines elsewhere (stderr)."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (
            rich.progress.SpinnerColumn(),
            rich.progress.TextColumn("rootfs {task.fields[language]}"),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TextColumn("{task.description}", markup=False),
        )
        with rich.progress.Progress(*columns, console=console) as bar:

            def live(name: str) -> Report:
                task = bar.add_task("", total=None, language=name)
                return lambda text: bar.update(task, description=text)

            yield {name: live(name) for name in names}
    else:
        begun, lock = time.time(), threading.Lock()

        def line(name: str) -> Report:
            def report(text: str) -> None:
                with lock:
                    print(f"{time.time() - begun:6.1f} s  rootfs {name}: {text}", file=sys.stderr, flush=True)

            return report

        yield {name: line(name) for name in names}

"""Which runs and scores lie in a folder, and what their small files say. What is half written counts as not there."""

from __future__ import annotations

import json
import math
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from base.errors import DataError
from base.lock import NAME as LOCK
from run import run_folder

DEPTH = 4  # folders below the one that is named
SKIPPED = {
    "checkpoints",
    "rollouts",
    "samples",
    "wandb",
    "tensorboard",
    "teacher",
    "bugs",
    "data",
}  # beside a config.yaml
FRESH_S = 60.0  # a run that wrote so lately is running, whatever its lock says
# Whether a process of another machine lives cannot be seen: its lock is believed while the folder is younger than this.
ELSEWHERE_S = 3600.0

Row = dict[str, Any]


class Metrics:
    """The rows of a metrics.jsonl. Each call reads what was added since; a file that was rewritten is read anew."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file: tuple[int, int] = (0, 0)  # inode and offset behind the last whole line
        self._rows: dict[int, Row] = {}  # by step: a resumed run writes some again

    def rows(self) -> list[Row]:
        """By step. Lines that are no metrics of a step (cut off by a kill) are left out."""
        with self._lock:
            try:
                with open(self.path, "rb") as lines:
                    status = os.fstat(lines.fileno())
                    inode, offset = self._file
                    if status.st_ino != inode or status.st_size < offset:
                        self._rows, offset = {}, 0
                    lines.seek(offset)
                    for line in lines:
                        if not line.endswith(b"\n"):
                            break
                        offset += len(line)
                        self._add(line)
                    self._file = status.st_ino, offset
            except OSError:
                self._rows, self._file = {}, (0, 0)
            return [self._rows[step] for step in sorted(self._rows)]

    def _add(self, line: bytes) -> None:
        try:
            row = json.loads(line)
            self._rows[int(row["step"])] = row
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return


@dataclass
class Folder:
    """A run or an evaluation."""

    name: str  # as it is shown and addressed
    path: Path
    kind: str  # run | scores
    metrics: Metrics = field(init=False)

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.path / "metrics.jsonl")

    def config(self) -> dict[str, Any]:
        """The resolved config; {} where it cannot be read."""
        try:
            status = (self.path / run_folder.CONFIG).stat()
        except OSError:
            return {}
        return _config(self.path / run_folder.CONFIG, status.st_mtime_ns, status.st_size)

    def json(self, name: str) -> dict[str, Any]:
        """A JSON file of the folder; {} where it cannot be read."""
        try:
            found = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def text(self, name: str) -> str:
        """A text file of the folder; "" where it cannot be read."""
        try:
            return (self.path / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def changed(self) -> float:
        """When something was written last, in seconds since 1970."""
        return max(map(_changed, (self.path / name for name in ("metrics.jsonl", "scores.json", "config.yaml"))))

    def state(self) -> str:
        """finished, running or stopped."""
        if (self.path / (run_folder.FINISHED if self.kind == "run" else "scores.json")).exists():
            return "finished"
        silent = time.time() - max(self.changed(), _changed(self.path / "samples"))  # seconds
        return "running" if silent < FRESH_S or self._held(silent) else "stopped"

    def _held(self, silent: float) -> bool:
        """Whether the process that the lock names lives. The lock itself is left alone: a run may want it now."""
        lock = self.path / LOCK
        try:
            host, _, process = lock.read_text(encoding="utf-8").partition(" ")
            if host != socket.gethostname():
                return silent < ELSEWHERE_S
            # A later process may have got the number of one that was killed.
            return _started(int(process)) <= lock.stat().st_mtime + 1
        except (OSError, ValueError, OverflowError):
            return False

    def bugs(self) -> list[dict[str, Any]]:
        """Every bugs.json of `python -m study.bugs`, with the place it is from: {where, by, programs, shares}.

        `by` is "" for one that cannot be read.
        """
        found = []
        for path in [self.path / "bugs" / "bugs.json", *sorted((self.path / "bugs").glob("*/bugs.json"))]:
            try:
                read = json.loads(path.read_text(encoding="utf-8"))
                who = "model" if read["model"] else "rules"
                shares = {
                    str(theme): float(row[who]) / max(1, read["programs"]) for theme, row in read["themes"].items()
                }
                where = "" if path.parent == self.path / "bugs" else path.parent.name.replace("_", " ")
                by = str(read["model"] or "rules")
                found.append({"where": where, "by": by, "programs": int(read["programs"]), "shares": shares})
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                found.append({"where": str(path.relative_to(self.path)), "by": "", "programs": 0, "shares": {}})
        return found

    @property
    def language(self) -> str:
        """Its name; those of a mixture, joined."""
        return _joined(self.config(), "language")

    @property
    def title(self) -> str:
        config = self.config()
        verb = "learns" if self.kind == "run" else "in"
        return f"{_joined(config, 'model')} {verb} {_joined(config, 'language')} on {_joined(config, 'dataset')}"


class Folders:
    """The runs and scores below some folders. Folders that come later are found when they are asked for."""

    def __init__(self, roots: Sequence[Path]) -> None:
        """Raises DataError for a root that is no folder."""
        for root in roots:
            if not root.is_dir():
                raise DataError(f"{root} is no folder; name one that holds runs or scores")
        self.roots = [root.resolve() for root in roots]
        self._known: dict[str, Folder] = {}
        self._lock = threading.Lock()

    def all(self) -> list[Folder]:
        """The newest first."""
        found: dict[str, Folder] = {}
        with self._lock:
            for root in self.roots:
                for path, kind in _walk(root, DEPTH):
                    name = str(path.relative_to(root.parent))
                    old = self._known.get(name)
                    found[name] = old if old and (old.path, old.kind) == (path, kind) else Folder(name, path, kind)
            self._known = found
        return sorted(found.values(), key=lambda folder: (-folder.changed(), folder.name))

    def get(self, name: str) -> Folder | None:
        """By its name. No path comes from outside: a name that was not found by walking is no folder."""
        if name not in self._known:
            self.all()
        return self._known.get(name)


def one(path: Path) -> Folder:
    """The run or evaluation of a folder itself. Raises DataError."""
    kind = _kind(path, _names(path))
    if kind is None:
        raise DataError(f"{path} is neither a run (metrics.jsonl) nor an evaluation (scores.json)")
    return Folder(path.resolve().name, path, kind)


def number(value: object) -> float | None:
    """A finite number, or None."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None  # type: ignore[arg-type]


def _walk(folder: Path, depth: int) -> Iterator[tuple[Path, str]]:
    names = _names(folder)
    if kind := _kind(folder, names):
        yield folder, kind
    elif depth:
        for name, is_folder in sorted(names.items()):
            own = run_folder.CONFIG in names and name in SKIPPED  # of a run that has only begun; else anybody's name
            if is_folder and not own and not name.startswith("."):
                yield from _walk(folder / name, depth - 1)


def _kind(folder: Path, names: dict[str, bool]) -> str | None:
    if "metrics.jsonl" in names or ({run_folder.CONFIG, "rollouts"} <= set(names)):
        return "run"
    begun = run_folder.CONFIG in names and names.get("samples")
    return "scores" if {"scores.json", "samples.parquet"} & set(names) or begun else None


def _names(folder: Path) -> dict[str, bool]:
    """What is in a folder, and whether it is a folder itself. Links to folders are not followed: they may go round."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
    except OSError:
        return {}


@lru_cache(maxsize=1000)  # the list of all asks for each at every refresh, and PyYAML takes its time
def _config(path: Path, changed: int, size: int) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _started(process: int) -> float:
    """When a process of this machine began, in seconds since 1970. Raises OSError where there is none."""
    after_name = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
    ticks = int(after_name.split()[19])  # field 22, since the machine's start
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _joined(config: dict[str, Any], group: str) -> str:
    mixed = config.get("language_mix") if group == "language" else None
    part = config.get(group)
    if isinstance(mixed, list | dict) and mixed:
        return "+".join(map(str, mixed))
    return str(part.get("name", "?")) if isinstance(part, dict) else "?"

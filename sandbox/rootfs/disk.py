"""How much disk root file systems will take, told before they are built from what they took elsewhere.

`sizes.csv` has a row for each language: the MB of its root, and how many of them no other root has; what several
roots share counts once, in the row `shared`. `python -m sandbox.check.survey` writes it when all roots are there.
"""

from __future__ import annotations

import csv
import os
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from base.files import replacing

TABLE = Path(__file__).with_name("sizes.csv")
SHARED = "shared"
BASES_MB = 500  # three suites' bases, as tar files
COPIES = 2  # of a root, while it is built: where apt works, and what is unpacked


class Size(NamedTuple):
    """MB of disk that a root takes, and that no other root has."""

    whole: int
    own: int


def measure(roots: dict[str, Path]) -> dict[str, Size]:
    """The table for roots by language. A file that is linked into several roots is one."""
    users: dict[int, set[str]] = defaultdict(set)
    bytes_of: dict[int, int] = {}
    for name, root in roots.items():
        for folder, _, files in os.walk(root):
            for file in files:
                status = os.lstat(os.path.join(folder, file))
                users[status.st_ino].add(name)
                bytes_of[status.st_ino] = status.st_blocks * 512
    whole: dict[str, int] = defaultdict(int)
    own: dict[str, int] = defaultdict(int)
    for number, names in users.items():
        for name in names:
            whole[name] += bytes_of[number]
        owner = next(iter(names)) if len(names) == 1 else SHARED
        own[owner] += bytes_of[number]
    return {name: Size(round(whole[name] / 1e6), round(own[name] / 1e6)) for name in [*sorted(roots), SHARED]}


def needed(names: Sequence[str], at_once: int, table: dict[str, Size]) -> tuple[float, float]:
    """GB that these roots take when they are built, and GB more while they are, `at_once` at a time.

    Rather too much: what they share may lie on this disk already. A language that the table lacks is taken for one in
    the middle of the others.
    """
    known = [size for name, size in table.items() if name != SHARED]
    middle = Size(*(round(statistics.median(column)) for column in zip(*known, strict=True)))
    sizes = [table.get(name, middle) for name in names]
    shared = min(table[SHARED].own, sum(size.whole - size.own for size in sizes))
    largest = sorted((size.whole for size in sizes), reverse=True)[:at_once]
    return (sum(size.own for size in sizes) + shared + (BASES_MB if sizes else 0)) / 1e3, COPIES * sum(largest) / 1e3


def read(path: Path = TABLE) -> dict[str, Size]:
    with open(path, encoding="utf-8", newline="") as file:
        return {row["language"]: Size(int(row["mb"]), int(row["own_mb"])) for row in csv.DictReader(file)}


def write(table: dict[str, Size], path: Path = TABLE) -> None:
    with replacing(path) as part, open(part, "w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(("language", "mb", "own_mb"))
        lines.writerows((name, size.whole, size.own) for name, size in table.items())

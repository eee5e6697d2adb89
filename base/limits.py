"""Bounds on one untrusted program: a language file may set any of them, and so may a job."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

WHOLE = ("memory_mb", "processes", "file_mb", "disk_mb", "inodes")
GONE = {"cpu_s": "test_s, which bounds the CPU time of all processes of a test together"}


@dataclass(frozen=True)
class Limits:
    """Bounds on one program; a language file's `limits:` mapping overrides any of them.

    Programs are held to CPU time, which a busy machine does not stretch. What sleeps uses none, so a wall-clock limit
    lies well above it: see `wall`.
    """

    compile_s: float = 30.0  # CPU time of the compile command, seconds
    # CPU time of one test, seconds: of all its processes and threads together. Right programs in Perl, PHP, Ruby, Python
    # and Lua were seen to take more than 5 s; 10 s is what judges give interpreters where C has 2 s.
    test_s: float = 10.0
    wall_s: float | None = None  # wall-clock time of one test, seconds; None: see `wall`
    program_s: float | None = (
        None  # wall-clock time of compiler and all tests, seconds; None: no less than each may take
    )
    memory_mb: int = 1024  # MiB, compiler and program alike
    processes: int = 64  # processes and threads alive at once
    file_mb: int = 64  # MiB, the largest file a program may write
    disk_mb: int = 256  # MiB, all files together (tmpfs)
    inodes: int = 4096  # files and directories together
    output_mb: float = 5.0  # MiB, each of stdout and stderr (paper section 3.3)

    @property
    def room_mb(self) -> int:
        """MiB that files may take: in a memory cgroup they are memory, and the program needs some too."""
        return max(1, min(self.disk_mb, self.memory_mb * 3 // 4))

    @property
    def compile_wall_s(self) -> float:
        return wall(self.compile_s)

    @property
    def test_wall_s(self) -> float:
        return self.wall_s or wall(self.test_s)

    def total_s(self, tests: int) -> float:
        """Wall-clock time of a program with so many tests, seconds: grows with them where `program_s` does not say."""
        return self.program_s or self.compile_wall_s + tests * self.test_wall_s


def wall(cpu_s: float) -> float:
    """The wall-clock limit that goes with a CPU limit, both in seconds.

    A program that gets a quarter of a core, as beside three busy processes, still gets all of its CPU time before.
    """
    return 4 * cpu_s + 10


def parse_limits(row: Any, default: Limits = Limits()) -> Limits:
    """`default` with the keys of a mapping changed. Raises ValueError, whose sentence begins with the key at fault."""
    known = [field.name for field in fields(Limits)]
    if not isinstance(row, dict):
        raise ValueError(f"key 'limits' must be a mapping with keys of {', '.join(known)}, not {row!r}")
    for key, value in row.items():
        if key in GONE:
            raise ValueError(f"unknown key 'limits.{key}': it has become {GONE[key]}; the keys are {', '.join(known)}")
        if key not in known:
            raise ValueError(f"unknown key 'limits.{key}'; the keys are {', '.join(known)}")
        if value is None and getattr(Limits, key) is None:
            continue
        kind, types = ("a whole number", int) if key in WHOLE else ("a number", int | float)
        if isinstance(value, bool) or not isinstance(value, types) or not value > 0:
            raise ValueError(f"key 'limits.{key}' must be {kind} above 0, not {value!r}")
    return replace(default, **row)

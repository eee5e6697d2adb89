"""Bounds on one untrusted program: a language file may set any of them, and so may a job."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

WHOLE = ("memory_mb", "processes", "file_mb", "disk_mb", "inodes")
GONE = {"cpu_s": "test_s, which bounds the CPU time of all processes of a test together"}

ASLEEP_S = 10.0  # what a test may take by the clock above its CPU limit
PATIENCE = 10  # wall-clock seconds granted per CPU second used: a tenth of a core is enough to use the CPU limit up


@dataclass(frozen=True)
class Limits:
    """Bounds on one program; a language file's `limits:` mapping overrides any of them.

    Programs are held to CPU time, which a busy machine does not stretch. A program that sleeps uses none, so the clock
    bounds it too: by `wall_s` plus PATIENCE times the CPU time used so far.
    """

    compile_s: float = 30.0  # CPU time of the compile command, seconds
    # CPU time of one test, seconds: of all its processes and threads together. Right programs in Perl, PHP, Ruby,
    # Python and Lua were seen to take more than 5 s; 10 s is what judges give interpreters where C has 2 s.
    test_s: float = 10.0
    wall_s: float | None = None  # wall-clock time of one test that uses no CPU time, seconds; None: test_s + 10
    program_s: float | None = None  # wall-clock time of compiler and tests together, seconds; None: no limit of its own
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
        """As `test_wall_s`, of the compile command."""
        return self.compile_s + ASLEEP_S

    @property
    def test_wall_s(self) -> float:
        """`wall_s`, or what it is where nobody has set it, seconds."""
        return self.wall_s or self.test_s + ASLEEP_S

    def longest_s(self, tests: int) -> float:
        """What compiling and so many tests may take by the clock, seconds."""
        return self.program_s or self.runs_s(tests)

    def runs_s(self, tests: int) -> float:
        """As `longest_s`, by the limits of each run alone."""
        compiling = self.compile_wall_s + PATIENCE * self.compile_s
        one = self.test_wall_s + PATIENCE * self.test_s
        return compiling + tests * one


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

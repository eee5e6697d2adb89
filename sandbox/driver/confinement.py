"""What a jail needs outside of its driver where there are no namespaces: users and a root of its own, or a folder."""

from __future__ import annotations

import contextlib
import glob
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from base.files import cache_folder
from sandbox.driver import linked_root
from sandbox.driver.binaries import Binaries, Level
from sandbox.job import SandboxError

LOADER = {"x86_64": "lib64/ld-linux-x86-64.so.2", "aarch64": "lib/ld-linux-aarch64.so.1"}
FAKECHROOT = "usr/lib/*/fakechroot/libfakechroot.so"  # of Debian's package libfakechroot, in a root or on the machine


class Confinement:
    """`arguments` are those of `driver confine`, see confine.h; `environment` is for its programs."""

    def __init__(self, root: str, binaries: Binaries, main_program: str):
        """`main_program`: the path in the root of what runs a language's programs. Raises SandboxError."""
        self._driver = binaries.driver
        self.environment: dict[str, str] = {}
        self._users: linked_root.Users | None = None
        try:
            if binaries.level is Level.CONTAINER_ROOT:
                self._users = linked_root.Users()
                self._folder = linked_root.make(Path(root), self._users, binaries.driver, main_program)
                self.arguments = [str(self._folder), str(self._users.program), str(self._users.keeper)]
            else:
                self._folder = Path(tempfile.mkdtemp(prefix="agnostics-", dir=_place()))
                self._folder.joinpath("tmp").mkdir()
                self.arguments = [root, str(self._folder), str(binaries.landlock)]
                self.environment = self._pretended(Path(root))
        except OSError as error:
            self.close()
            raise SandboxError(f"no root of a jail's own can be made from {root}: {error}") from error

    def _pretended(self, root: Path) -> dict[str, str]:
        """The environment in which libfakechroot shows a program `root` as /. Raises OSError."""
        home = str(self._folder / "tmp")
        loader = root / LOADER[platform.machine()]
        if not loader.exists():  # nothing in there needs libraries
            return {"HOME": home, "TMPDIR": home}
        found = [*glob.glob(f"{root}/{FAKECHROOT}"), *glob.glob(f"/{FAKECHROOT}")]
        if not found:
            raise OSError(f"there is no libfakechroot: apt-get install libfakechroot, here or in the image ({root})")
        _make_links_relative(root)
        library = self._folder / "libfakechroot.so"
        shutil.copy(found[0], library)
        folders = ["/lib", "/usr/lib"]
        for file in sorted(root.glob("etc/ld.so.conf.d/*.conf")):
            folders += [line.strip() for line in file.read_text().splitlines() if line.startswith("/")]
        return {
            "HOME": home,
            "TMPDIR": home,
            "LD_PRELOAD": str(library),
            "LD_LIBRARY_PATH": ":".join(f"{root}{folder}" for folder in folders if Path(f"{root}{folder}").is_dir()),
            "FAKECHROOT": "true",
            "FAKECHROOT_BASE": str(root),
            "FAKECHROOT_ELFLOADER": str(loader),
            "FAKECHROOT_EXCLUDE_PATH": f"/proc:/dev:{self._folder}",
        }

    def close(self) -> None:
        """Removes what a jail had; its driver has ended."""
        with contextlib.suppress(OSError):  # whoever takes the users next removes what is left
            if self._users:
                linked_root.remove(self._folder, self._users, self._driver)
            else:
                subprocess.run([self._driver, "clear", str(self._folder / "tmp")], check=False, capture_output=True)
                shutil.rmtree(self._folder)
        if self._users:
            self._users.close()


def _place() -> Path:
    """A folder for folders of programs: in memory where programs may be executed there. Raises OSError."""
    own = cache_folder() / "jails"
    own.mkdir(parents=True, exist_ok=True)
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

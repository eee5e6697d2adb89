"""What a jail needs outside of its driver where there are no namespaces: users or a folder of its own."""

from __future__ import annotations

import contextlib
from pathlib import Path

from sandbox.driver import linked_root
from sandbox.driver.binaries import Binaries, Level
from sandbox.job import SandboxError


class Confinement:
    """`arguments` are those of `driver confine`, see confine.h; `environment` is for its programs."""

    def __init__(self, root: str, binaries: Binaries, main_program: str):
        """Raises SandboxError."""
        self._driver = binaries.driver
        self.environment: dict[str, str] = {}
        self._users: linked_root.Users | None = None
        try:
            if binaries.level is Level.CONTAINER_ROOT:
                self._users = linked_root.Users()
                self._folder = linked_root.make(Path(root), self._users, binaries.driver, main_program)
                self.arguments = [str(self._folder), str(self._users.program), str(self._users.keeper)]
        except OSError as error:
            raise SandboxError(f"no root of a jail's own can be made from {root}: {error}") from None

    def close(self) -> None:
        """Removes what a jail had; its driver has ended."""
        with contextlib.suppress(OSError):  # whoever takes the users next removes it
            if self._users:
                linked_root.remove(self._folder, self._users, self._driver)
        if self._users:
            self._users.close()

"""What jails leave where they have no namespaces."""

from __future__ import annotations

import os
import time
from pathlib import Path

from sandbox.driver import binaries
from sandbox.driver.confinement import FOLDERS, locked, remove_stale


def test_folders_of_killed_workers_are_removed_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    stale, lives, new = (tmp_path / f"{FOLDERS}{name}" for name in ("stale", "lives", "new"))
    for folder in (stale, lives, new):
        shut = folder / "tmp/shut"
        shut.mkdir(parents=True)
        (shut / "file").write_text("x")
        shut.chmod(0)
    for folder in (stale, lives):
        os.utime(folder, (time.time() - 3600,) * 2)
    lock = locked(lives)
    assert lock is not None
    remove_stale(tmp_path, binaries.find().driver)
    assert sorted(tmp_path.iterdir()) == [lives, new]
    os.close(lock)
    remove_stale(tmp_path, binaries.find().driver)
    assert sorted(tmp_path.iterdir()) == [new]

"""podman, as the tests that need a real container engine use it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from sandbox.rootfs import debian

# podman's runtime refuses cgroups of both versions at once, so the second goes, in a mount namespace of its own.
SCRIPT = 'umount -l /sys/fs/cgroup/unified 2>/dev/null; exec podman "$@"'


def needs_podman() -> None:
    if shutil.which("podman") is None or os.geteuid():
        pytest.skip("needs podman (apt-get install podman) and root")


def podman(folder: str) -> list[str]:
    """The command line, with a store of its own in `folder`, of which it wants a short path."""
    needs_podman()
    store = ["--storage-driver=vfs", f"--root={folder}/store", f"--runroot={folder}/run"]
    return ["unshare", "-m", "sh", "-c", SCRIPT, "podman", *store]


def bootstrap(
    command: Sequence[str], folder: str, image: str, suite: str, *options: str, environment: Sequence[str] = ()
) -> None:
    """Makes the image from Debian's packages: no registry need be reached. `environment`: NAME=VALUE, each."""
    tar = Path(folder, "base.tar")
    line = ["mmdebstrap", "--variant=apt", "--format=tar", *options, suite, str(tar), debian.mirror()]
    subprocess.run(line, check=True, capture_output=True)
    changes = [f"--change=ENV {variable}" for variable in environment]  # podman takes one in each
    subprocess.run([*command, "import", *changes, str(tar), image], check=True)
    tar.unlink()

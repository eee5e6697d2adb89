"""The level that is found in real containers, podman's, with its capabilities and its filter of system calls."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sandbox.rootfs.__main__ import main as rootfs
from tests.sandbox.engine import needs_podman

ROOT = Path(__file__).parents[2]
JUDGE = """
import languages
from sandbox import protection
from sandbox.job import Job, Test
from sandbox.pool import Pool
print("level:", protection.find().binaries.level)
with Pool([languages.load("lua")], workers=1) as pool:
    job = Job("x", "lua", "print(io.read('n') + 1)", (Test("1", "2"), Test("2", "3")))
    print([verdict.status.value for verdict in pool.verify([job])])
"""
# The container's files are this machine's, below a layer in memory that takes what is written. podman's runtime refuses
# cgroups of both versions at once, so the second goes, in a mount namespace of its own.
SCRIPT = """
umount -l /sys/fs/cgroup/unified 2>/dev/null
cd "$1" && mount -t tmpfs tmpfs . && cd "$1" && mkdir upper work files || exit 3
mount -t overlay overlay -o lowerdir=/,upperdir="$1/upper",workdir="$1/work" files || exit 3
chmod go+x files/root; cp -a "$2" files/cache; chown -R 1000:1000 files/cache
shift 2; exec podman --storage-driver=vfs --root="$PWD/store" --runroot="$PWD/run" run --rm --network=none \\
  --pids-limit=-1 --ulimit=nofile=1024:1024 --ulimit=nproc=4096:4096 --env=AGNOSTICS_CACHE=/cache "$@"
"""
UNCONFINED = "--cap-add=SYS_ADMIN --security-opt=seccomp=unconfined"
RUNS = {  # podman's options, and the level that is then found
    "": "container root",
    "--privileged": "namespaces",
    UNCONFINED: "container root",
    f"{UNCONFINED} --security-opt=unmask=ALL": "namespaces",
    "--user=1000 --cap-drop=all --security-opt=no-new-privileges": "container user",
}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the root of Lua alone, as it comes into a container."""
    needs_podman()
    folder = tmp_path_factory.mktemp("packed")
    assert rootfs(["pack", "language=lua", f"out={folder}/lua.tar"]) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGNOSTICS_CACHE", str(folder / "cache"))
        assert rootfs(["import", f"{folder}/lua.tar"]) == 0
    return folder / "cache"


@pytest.mark.slow
@pytest.mark.parametrize("options", RUNS)
def test_a_program_is_judged_in_a_real_container(options: str, packed: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="podman-", dir="/tmp") as place:  # podman wants a short path
        inside = [*shlex.split(options), f"--workdir={ROOT}", "--rootfs", f"{place}/files", sys.executable, "-c", JUDGE]
        line = ["unshare", "-m", "sh", "-c", SCRIPT, "sh", place, str(packed), *inside]
        done = subprocess.run(line, capture_output=True, text=True, timeout=600)
    assert done.stdout == f"level: {RUNS[options]}\n['passed']\n", done.stderr

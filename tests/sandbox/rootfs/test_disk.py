"""How much disk roots take is known before they are built, and a disk with less is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import languages
from sandbox.rootfs import disk, store, tarball
from sandbox.rootfs.disk import SHARED, Size


def root(folder: Path, files: dict[str, int]) -> Path:
    """A root whose files have these sizes in bytes and, by their names, contents."""
    for name, size in files.items():
        path = folder / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((name.encode() * size)[:size])
        os.utime(path, (1, 1))  # only files of one time are shared
    store.share(folder / "root", folder.parent / ".store")
    return folder / "root"


def test_what_roots_share_counts_once(tmp_path: Path) -> None:
    roots = {
        "c": root(tmp_path / "c", {"gcc": 4_000_000}),
        "cpp": root(tmp_path / "cpp", {"gcc": 4_000_000, "libstdc++": 1_000_000}),
    }
    table = disk.measure(roots)
    assert table == {"c": Size(4, 0), "cpp": Size(5, 1), SHARED: Size(0, 4)}
    disk.write(table, tmp_path / "sizes.csv")
    assert disk.read(tmp_path / "sizes.csv") == table
    bases = disk.BASES_MB / 1e3
    for names in (["c"], ["cpp"], ["c", "cpp"]):
        kept, working = disk.needed(names, 1, table)
        assert kept == pytest.approx(tarball.size_mb(*(roots[name] for name in names)) * 2**20 / 1e9 + bases, abs=0.002)
        assert working == pytest.approx(disk.COPIES * max(table[name].whole for name in names) / 1e3)


SIZES = st.builds(lambda own, shared: Size(own + shared, own), st.integers(0, 900), st.integers(0, 900))


@given(st.dictionaries(st.sampled_from("abcdefgh"), SIZES, min_size=1), st.sets(st.sampled_from("abcdefghxyz")))
def test_more_roots_never_need_less_and_never_more_than_each_alone(sizes: dict[str, Size], names: set[str]) -> None:
    table = sizes | {SHARED: Size(0, max(size.whole - size.own for size in sizes.values()))}
    kept, working = disk.needed(sorted(names), 2, table)
    alone = [disk.needed([name], 2, table) for name in names]
    assert kept >= max((one[0] for one in alone), default=0) - 1e-9
    assert kept <= sum(one[0] for one in alone) + 1e-9
    assert max((one[1] for one in alone), default=0) - 1e-9 <= working <= sum(one[1] for one in alone) + 1e-9


def test_the_table_has_every_language_of_the_project() -> None:
    table = disk.read()
    public = {path.stem for path in languages.FOLDER.glob("*.yaml")}
    assert public | {SHARED} == set(table)
    assert all(0 <= size.own <= size.whole for name, size in table.items() if name != SHARED)
    assert 3 < disk.needed(sorted(public), 2, table)[0] < 12  # GB: forty languages fit on a laptop


def test_a_disk_with_less_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    """On a file system of 64 MB, in a mount namespace of its own."""
    script = f"mount -t tmpfs -o size=64m none {tmp_path} && {sys.executable} -m sandbox.rootfs language=all; status=$?"
    done = subprocess.run(
        [
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            f"{script}; ls {tmp_path}/rootfs; exit $status",
        ],
        cwd=Path(__file__).parents[3],
        env=os.environ | {"AGNOSTICS_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode == 1 and done.stderr.startswith(("unshare:", "mount:")):
        pytest.skip("this machine has no user namespaces")
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("too little disk: ") and done.stderr.count("\n") == 1
    for words in (f"for {len(languages.names())} roots", "0.1 GB free", "AGNOSTICS_CACHE"):
        assert words in done.stderr

"""Equal files of roots are one on disk, and none can be changed through another root."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.rootfs import store, tarball

CHANGED = 1_600_000_000


def write(path: Path, content: bytes, mode: int = 0o644, changed: int = CHANGED) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    os.utime(path, (changed, changed))
    return path


def test_equal_files_of_two_roots_are_one(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name / "usr/lib/libc.so", b"c" * 100_000)
        write(tmp_path / name / "usr/lib/own", name.encode() * 10_000)
    assert store.share(tmp_path / "one", tmp_path / "store") > 0.1
    assert store.share(tmp_path / "two", tmp_path / "store") == pytest.approx(0.03, abs=0.01)
    libraries = [tmp_path / name / "usr/lib/libc.so" for name in ("one", "two")]
    assert libraries[0].samefile(libraries[1])
    assert (tmp_path / "two/usr/lib/own").read_bytes() == b"two" * 10_000
    assert tarball.size_mb(tmp_path / "one", tmp_path / "two") < 0.2 < 0.1 + tarball.size_mb(tmp_path / "one") * 2


def test_what_differs_in_content_mode_or_time_stays_apart(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / "one/file", b"same"),
        write(tmp_path / "two/file", b"same", mode=0o755),
        write(tmp_path / "three/file", b"same", changed=CHANGED + 1),
        write(tmp_path / "four/file", b"other"),
    ]
    for path in paths:
        store.share(path.parent, tmp_path / "store")
    assert len({path.stat().st_ino for path in paths}) == 4
    assert [path.stat().st_mode & 0o777 for path in paths] == [0o444, 0o555, 0o444, 0o444]
    assert paths[2].stat().st_mtime == CHANGED + 1


def test_a_shared_file_cannot_be_written_by_an_ordinary_user(tmp_path: Path) -> None:
    path = write(tmp_path / "one/file", b"same")
    store.share(tmp_path / "one", tmp_path / "store")
    assert path.stat().st_mode & 0o222 == 0
    if os.geteuid() != 0:
        with pytest.raises(PermissionError):
            path.open("wb")


def test_links_and_mount_points_are_left_alone(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root / "file", b"content")
    (root / "link").symlink_to("file")
    (root / "out").symlink_to("/etc/passwd")
    tarball.add_mount_points(root)
    store.share(root, tmp_path / "store")
    assert os.readlink(root / "link") == "file" and os.readlink(root / "out") == "/etc/passwd"
    assert tarball.missing_mount_points(root) == []
    assert (root / "dev/null").stat().st_nlink == 1


def test_sharing_twice_changes_nothing_and_pruning_keeps_what_is_used(tmp_path: Path) -> None:
    root, kept = tmp_path / "root", tmp_path / "store"
    write(root / "a", b"x" * 5000)
    store.share(root, kept)
    assert store.share(root, kept) == 0
    assert store.prune(kept) == 0
    assert sorted(path.name for path in root.iterdir()) == ["a"]
    (root / "a").unlink()
    assert store.prune(kept) > 0
    assert [path for path in kept.rglob("*") if path.is_file()] == []


def test_a_removed_root_leaves_the_others_whole(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name / "file", b"same")
        store.share(tmp_path / name, tmp_path / "store")
    (tmp_path / "one/file").unlink()
    store.prune(tmp_path / "store")
    assert (tmp_path / "two/file").read_bytes() == b"same"


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), st.binary(max_size=8), max_size=6))
def test_every_file_keeps_its_content(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    place = tmp_path_factory.mktemp("store")
    (place / "root").mkdir()
    for name, content in files.items():
        write(place / "root" / name, content)
    store.share(place / "root", place / "store")
    assert {path.name: path.read_bytes() for path in (place / "root").iterdir()} == files

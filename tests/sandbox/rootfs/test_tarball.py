"""Tars are not trusted: whatever they hold, nothing is written outside of the root and nothing dangerous inside."""

import contextlib
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.rootfs import tarball


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


MODES: dict[str, Any] = {"": "w|", "gz": "w|gz", "xz": "w|xz", "bz2": "w|bz2"}


def stream(*members: tuple[tarfile.TarInfo, bytes], compression: str = "") -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=MODES[compression]) as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return io.BytesIO(buffer.getvalue())


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("compression", ["", "gz", "xz", "bz2"])
def test_files_folders_and_links_arrive(tmp_path: Path, compression: str) -> None:
    tar = stream(
        (member("./usr/bin", tarfile.DIRTYPE), b""),
        (member("usr/bin/tool", mode=0o700), b"#!/bin/sh\n"),
        (member("usr/bin/twin", tarfile.LNKTYPE, "./usr/bin/tool"), b""),
        (member("bin", tarfile.SYMTYPE, "usr/bin"), b""),
        (member("etc/deep/absolute", tarfile.SYMTYPE, "/etc/hostname"), b""),
        (member("/leading/slash"), b"x"),
        compression=compression,
    )
    root = tmp_path / "root"
    tarball.extract(tar, root)
    assert (root / "usr/bin/tool").read_bytes() == b"#!/bin/sh\n"
    assert (root / "usr/bin/tool").stat().st_ino == (root / "usr/bin/twin").stat().st_ino
    assert os.readlink(root / "bin") == "usr/bin"
    assert os.readlink(root / "etc/deep/absolute") == "/etc/hostname"
    assert (root / "leading/slash").read_bytes() == b"x"


def test_the_jails_user_can_read_everything_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        tar = stream((member("private/key", mode=0o600), b"x"), (member("private/run", mode=0o700), b"x"))
        tarball.extract(tar, tmp_path / "root")
        assert (tmp_path / "root/private").stat().st_mode & 0o777 == 0o755
        assert (tmp_path / "root/private/key").stat().st_mode & 0o777 == 0o644
        assert (tmp_path / "root/private/run").stat().st_mode & 0o777 == 0o755
    finally:
        os.umask(before)


def test_setuid_bits_and_special_files_do_not_arrive(tmp_path: Path) -> None:
    device = member("dev/sda", tarfile.BLKTYPE)
    device.devmajor, device.devminor = 8, 0
    tar = stream(
        (member("bin/su", mode=0o6755), b"x"),
        (device, b""),
        (member("dev/null", tarfile.CHRTYPE), b""),
        (member("run/pipe", tarfile.FIFOTYPE), b""),
    )
    tarball.extract(tar, tmp_path / "root")
    assert (tmp_path / "root/bin/su").stat().st_mode & 0o7777 == 0o755
    assert tree(tmp_path / "root") == ["bin", "bin/su"]


def test_documentation_is_left_out_and_links_into_it_too(tmp_path: Path) -> None:
    tar = stream(
        (member("usr/share/doc/r/README"), b"x"),
        (member("usr/share/R/doc/NEWS", tarfile.LNKTYPE, "usr/share/doc/r/README"), b""),
        (member("usr/share/documents/kept"), b"x"),
    )
    tarball.extract(tar, tmp_path / "root")
    assert [path for path in (tmp_path / "root").rglob("*") if path.is_file()] == [
        tmp_path / "root/usr/share/documents/kept"
    ]


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param([(member("../escaped"), b"x")], id="parent"),
        pytest.param([(member("a/../../escaped"), b"x")], id="parent in the middle"),
        pytest.param([(member("up", tarfile.SYMTYPE, ".."), b""), (member("up/escaped"), b"x")], id="relative link"),
        pytest.param([(member("up", tarfile.SYMTYPE, "{outside}"), b""), (member("up/escaped"), b"x")], id="link"),
        pytest.param(
            [(member("up", tarfile.SYMTYPE, "{outside}"), b""), (member("up/escaped", tarfile.DIRTYPE), b"")],
            id="folder through a link",
        ),
        pytest.param(
            [(member("up", tarfile.SYMTYPE, "{outside}"), b""), (member("up", tarfile.DIRTYPE), b"")],
            id="folder over a link",
        ),
        pytest.param([(member("twin", tarfile.LNKTYPE, "../secret"), b"")], id="hard link to the parent"),
        pytest.param(
            [
                (member("up", tarfile.SYMTYPE, "{outside}"), b""),
                (member("twin", tarfile.LNKTYPE, "up/secret"), b""),
            ],
            id="hard link through a link",
        ),
        pytest.param([(member("twin", tarfile.LNKTYPE, "nowhere"), b"")], id="hard link to nothing"),
        pytest.param([(member("a/b"), b"x"), (member("a"), b"x")], id="file over a folder"),
        pytest.param([(member("a"), b"x"), (member("a/b"), b"x")], id="file used as a folder"),
    ],
)
def test_attacks_are_refused(tmp_path: Path, attack: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "secret").write_text("s")
    (tmp_path / "outside/secret").write_text("s")
    for info, _ in attack:
        info.linkname = info.linkname.replace("{outside}", str(tmp_path / "outside"))
    with pytest.raises(tarball.UnsafeTar):
        tarball.extract(stream(*attack), tmp_path / "root")
    outside = [path for path in tree(tmp_path) if not path.startswith("root")]
    assert outside == ["outside", "outside/secret", "secret"]


def test_a_file_over_a_link_replaces_the_link_not_its_goal(tmp_path: Path) -> None:
    (tmp_path / "goal").write_text("before")
    attack = stream((member("x", tarfile.SYMTYPE, str(tmp_path / "goal")), b""), (member("x"), b"after"))
    tarball.extract(attack, tmp_path / "root")
    assert (tmp_path / "goal").read_text() == "before"
    assert (tmp_path / "root/x").read_text() == "after"


PARTS = st.lists(st.sampled_from(["a", "b", "..", ".", "", "link"]), min_size=1, max_size=4).map("/".join)
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])


@settings(deadline=None)
@given(st.lists(st.tuples(PARTS, KINDS, PARTS), max_size=8))
def test_no_tar_writes_outside_of_the_root(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "a").write_text("mine")
    root = folder / "root"
    members = [(member(name, kind, link), b"x" if kind == tarfile.REGTYPE else b"") for name, kind, link in rows]
    with contextlib.suppress(tarball.UnsafeTar):
        tarball.extract(stream(*members), root)
    assert sorted(path.name for path in folder.iterdir()) == ["a", "root"]
    assert (folder / "a").read_text() == "mine"
    assert (folder / "a").stat().st_nlink == 1


def test_a_languages_files_arrive_and_pass_no_link(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("host")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/x").symlink_to(tmp_path / "outside")
    (root / "link").symlink_to(tmp_path)
    tarball.add_files(root, {"/etc/x": "one\n", "/usr/share/y": "two\n"})
    assert (root / "etc/x").read_text() == "one\n" and not (root / "etc/x").is_symlink()
    assert (root / "usr/share/y").stat().st_mode & 0o777 == 0o644
    with pytest.raises(tarball.UnsafeTar, match="leads through 'link'"):
        tarball.add_files(root, {"/link/outside": "three"})
    assert (tmp_path / "outside").read_text() == "host"


def test_mount_points_replace_what_is_in_their_way(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "tmp").symlink_to("/tmp")
    (tmp_path / "dev/null").symlink_to("/dev/null")
    (tmp_path / "dev/shm").symlink_to("/run/shm")
    assert tarball.missing_mount_points(tmp_path) != []
    tarball.add_mount_points(tmp_path)
    assert tarball.missing_mount_points(tmp_path) == []
    assert (tmp_path / "tmp").is_dir() and not (tmp_path / "tmp").is_symlink()
    assert (tmp_path / "dev/null").lstat().st_size == 0 and not (tmp_path / "dev/null").is_symlink()
    assert os.readlink(tmp_path / "dev/stdin") == "/proc/self/fd/0"
    tarball.add_mount_points(tmp_path)  # twice is as good as once


def test_no_mount_point_is_made_through_a_link_out_of_the_root(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/shm").symlink_to("/nowhere")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/dev").symlink_to(tmp_path / "outside")
    tarball.add_mount_points(tmp_path / "root")
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["shm"]
    assert (tmp_path / "outside/shm").is_symlink()
    assert not (tmp_path / "root/dev").is_symlink()
    assert tarball.missing_mount_points(tmp_path / "root") == []


def test_size_counts_a_hard_linked_file_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x" * 2**20)
    os.link(tmp_path / "one", tmp_path / "two")
    assert 1.0 <= tarball.size_mb(tmp_path) < 1.2

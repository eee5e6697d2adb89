"""Files and folders are whole or not there, and what is there is used as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from base.errors import UserError
from base.files import cache_folder, make_once, replacing, replacing_folder


def test_a_folder_is_made_once_and_whole(tmp_path: Path) -> None:
    made: list[Path] = []

    def fill(folder: Path) -> None:
        made.append(folder)
        (folder / "half").touch()
        if len(made) == 1:
            raise OSError("no space")
        (folder / "rest").touch()

    with pytest.raises(OSError, match="no space"):
        make_once(tmp_path / "models/x", fill)
    assert not (tmp_path / "models/x").exists()
    for _ in range(2):
        assert sorted(path.name for path in make_once(tmp_path / "models/x", fill).iterdir()) == ["half", "rest"]
    assert len(made) == 2


def test_a_folder_that_is_there_needs_no_lock(tmp_path: Path) -> None:
    """So a cache may be one that is only read."""
    (tmp_path / "x").mkdir()
    assert make_once(tmp_path / "x", lambda _: pytest.fail("it is there")) == tmp_path / "x"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_file_that_is_not_finished_takes_no_place(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(OSError, match="no space"), replacing(tmp_path / "a") as part:
        part.write_text("half")
        raise OSError("no space")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


def test_a_folder_that_is_not_finished_takes_no_place(tmp_path: Path) -> None:
    place = tmp_path / "x"
    for names in (["old"], ["new", "newer"]):
        (tmp_path / ".x.part").mkdir()
        (tmp_path / ".x.part/left").touch()  # by a writer that was killed
        with replacing_folder(place) as part:
            for name in names:
                (part / name).touch()
        assert sorted(path.name for path in place.iterdir()) == names
    with pytest.raises(OSError, match="no space"), replacing_folder(place) as part:
        (part / "half").touch()
        raise OSError("no space")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert sorted(path.name for path in place.iterdir()) == ["new", "newer"]


def test_a_cache_that_cannot_be_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGNOSTICS_CACHE", str(tmp_path / "cache"))
    assert cache_folder("roots").is_dir()
    (tmp_path / "file").touch()
    monkeypatch.setenv("AGNOSTICS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match=r"cannot make the folder .*file/cache/roots \(Not a dir.*set AGNOSTICS_CACHE"):
        cache_folder("roots")

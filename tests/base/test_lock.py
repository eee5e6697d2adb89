"""One process per folder: told apart from a lock that a killed process has left."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from base.errors import RunError
from base.lock import NAME, locked
from tests.conftest import ROOT

HOLD = "import sys; from pathlib import Path; from base.lock import locked\n" + (
    "with locked(Path(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()"
)


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdin=-1, stdout=-1, text=True, cwd=ROOT)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_told_whose_the_folder_is(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    with holder(folder) as process:
        with pytest.raises(RunError) as error, locked(folder):
            pytest.fail("both hold it")
        assert str(error.value).startswith(f"{folder} is in use by process {process.pid} on {socket.gethostname()}:")
        process.communicate()
    with locked(folder):
        assert (folder / NAME).read_text().endswith(f" {os.getpid()}")
    assert list(folder.iterdir()) == []


def test_a_lock_left_by_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
    assert (tmp_path / NAME).exists()
    with locked(tmp_path), pytest.raises(RunError, match=f"process {os.getpid()} on"), locked(tmp_path):
        pytest.fail("held twice")


def test_an_error_inside_is_its_own_and_frees_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    with locked(tmp_path):
        pass


def test_a_place_that_cannot_be_written_into_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"^cannot write into .*/file \(File exists\)"), locked(tmp_path / "file"):
        pytest.fail("held")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(RunError, match="No space left on device"), locked(tmp_path):
            pytest.fail("held")
    with pytest.raises(OSError, match="of its own"), locked(tmp_path):  # and it is free again
        raise OSError("of its own")

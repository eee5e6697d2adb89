"""The runner of a plan's parts, with processes that end at once in the place of train.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from base.progress import Progress
from study.claims.parts import Parts
from study.claims.plan import Part
from tests.study.claims.test_plan import PLAN


def parts(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> Parts:
    found = Parts(PLAN, folder, 1)
    monkeypatch.setattr(found, "command", lambda part, seeds: [sys.executable, "-c", code])
    return found


def finish(found: Parts) -> str:
    return found._finish(PLAN.parts[0], {}, Progress("runs", 1, quiet=True))


def test_the_error_of_an_earlier_try_is_not_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert finish(parts(tmp_path, "print('error: the disk is full')", monkeypatch)).startswith("the disk is full")
    assert finish(parts(tmp_path, "raise SystemExit(3)", monkeypatch)).startswith("exit code 3")


def test_nothing_starts_after_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = parts(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w')", monkeypatch)
    found._stop()
    assert finish(found) == "" and not (tmp_path / "ran").exists()


def test_a_stop_waits_for_a_part_that_is_just_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else that part would not be signalled, and Ctrl-C would wait for its end."""
    found = parts(tmp_path, "", monkeypatch)
    held = []

    def command(part: Part, seeds: list[int]) -> list[str]:
        held.append(found._lock.locked())
        return [sys.executable, "-c", ""]

    monkeypatch.setattr(found, "command", command)
    finish(found)
    assert held == [True]

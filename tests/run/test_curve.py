"""The learning curve shows what there is."""

from __future__ import annotations

import warnings
from pathlib import Path

from run.curve import learning_curve


def test_a_reward_beyond_one_is_not_off_the_picture(tmp_path: Path) -> None:
    for reward in (3.0, 5.0):
        learning_curve([{"step": step, "reward": reward} for step in range(3)], tmp_path / f"{reward}.png", "run")
    assert (tmp_path / "3.0.png").read_bytes() != (tmp_path / "5.0.png").read_bytes()


def test_a_run_that_has_no_step_yet_is_drawn_without_a_warning(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learning_curve([], tmp_path / "curve.png", "run")
    assert (tmp_path / "curve.png").is_file()

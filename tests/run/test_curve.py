"""The learning curve shows what there is."""

from __future__ import annotations

from pathlib import Path

from run.curve import learning_curve


def test_a_reward_beyond_one_is_not_off_the_picture(tmp_path: Path) -> None:
    for reward in (3.0, 5.0):
        learning_curve([{"step": step, "reward": reward} for step in range(3)], tmp_path / f"{reward}.png", "run")
    assert (tmp_path / "3.0.png").read_bytes() != (tmp_path / "5.0.png").read_bytes()

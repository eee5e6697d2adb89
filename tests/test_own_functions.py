"""A researcher's own reward and loss, named by import path, from a folder outside of the repository."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import train
from base.errors import UserError
from tests.conftest import SMALL, command, composed

MINE = '''
import os
import random

import torch
from training.loss import policy_loss


def short(group):
    """Shorter programs are better, whatever they print; the first of a group is not known."""
    assert all(len(rollout.verdict.tests) in (0, len(rollout.problem.tests)) for rollout in group)
    return [None, *(1 - len(rollout.completion.tokens) / 64 for rollout in group[1:])]


short.all_tests = True


def too_few(group):
    return [1.0]


calls = 0


def fails_late(group):
    """One reward too few, in the third step of two groups each."""
    global calls
    calls += 1
    return [float(number % 2) for number, _ in enumerate(group)][calls > 4 :]


def any_rank(group):
    """Says who asks: several ranks may not each have their own answer."""
    with open("ranks.txt", "a") as out:
        print(os.environ.get("RANK"), file=out)
    return [random.random() for _ in group]


def odd(group):
    return [float(number % 2) for number, _ in enumerate(group)]


updates = 0


def breaks_midway(logp, old, sampled, advantages, mask, batch, config, reference=None):
    """Breaks in the second epoch of the third batch: each is one micro-batch."""
    global updates
    updates += 1
    if updates == 6:
        raise RuntimeError("no loss today")
    return policy_loss(logp, old, sampled, advantages, mask, batch, config, reference)


def quadratic(logp, old, sampled, advantages, mask, batch, config, reference=None):
    loss, sums = policy_loss(logp, old, sampled, advantages, mask, batch, config, reference)
    return loss + 0 * logp.sum(), {"squares": (logp.detach() ** 2 * mask).sum()}
'''


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


WORDS = (*SMALL, "steps=1", "heldout.every=0")


def in_folder(folder: Path, *arguments: str) -> None:
    """A run as a user starts it, in a folder outside of the repository."""
    done = subprocess.run(command(*WORDS, *arguments), cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def here(mine: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The same in this process, which has torch already; the module is imported anew each time."""
    monkeypatch.chdir(mine)

    def start(*arguments: str) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "path", [*sys.path])
            patch.delitem(sys.modules, "mine", raising=False)
            train.main(composed(*WORDS, *arguments))

    return start


def test_a_reward_and_a_loss_of_ones_own(mine: Path, few: str) -> None:
    changes = ("reward.function=mine:short", "loss.function=mine:quadratic", few, "run_dir=run")
    in_folder(mine, *changes)
    rows = pq.read_table(mine / "run/rollouts/step_000001.parquet").to_pylist()
    assert [row["reward"] is None for row in rows] == [number % 8 == 0 for number in range(16)]
    assert all(row["reward"] == pytest.approx(1 - row["completion_tokens"] / 64) for row in rows if row["reward"])
    metrics = json.loads((mine / "run/metrics.jsonl").read_text().splitlines()[-1])
    assert metrics["squares"] > 0 and metrics["sampler_gap"] < 1e-3, "the gap is known whatever the loss returns"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("reward.function=mine", "reward.function is 'mine'; write module:function"),
        ("reward.function=nothing:here", "reward.function: cannot import 'nothing'"),
        (
            "loss.function=mine:none",
            "loss.function: 'mine' has no function 'none'; it has any_rank, breaks_midway, fails_late, odd, "
            "policy_loss, quadratic, short",
        ),
        ("reward.function=mine:policy_loss", "reward.function: 'policy_loss' is called with (rollouts), and missing"),
        ("loss.function=mine:odd", "loss.function: 'odd' is called with (logp, old, sampled, advantages, mask, batch"),
        ("reward.function=mine:too_few", "reward.function must return a finite number or None for each of 8 rollouts"),
    ],
)
def test_what_is_no_function_is_one_sentence(change: str, words: str, here: Callable[..., None], few: str) -> None:
    with pytest.raises(SystemExit, match=re.escape(words)):
        here(change, few, "run_dir=run")


def test_an_error_costs_no_step(
    mine: Path, here: Callable[..., None], few: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was learned before it is saved, though no checkpoint was due; and the same command goes on from there."""
    changes = ("reward.function=mine:fails_late", "steps=4", "checkpoint.every=0", few, "run_dir=run")
    with pytest.raises(SystemExit, match=r"reward\.function must return a finite number"):
        here(*changes)
    assert [path.name for path in (mine / "run/checkpoints").iterdir()] == ["step_000002"]
    here(*changes, "resume=auto")
    assert "resuming after step 2" in capsys.readouterr().out


def test_an_error_between_the_epochs_of_a_batch_saves_no_weights_of_half_a_step(
    mine: Path, here: Callable[..., None], few: str
) -> None:
    words = "loss.function=mine:breaks_midway", "epochs_per_batch=2", "steps=4", few, "reward.function=mine:odd"
    with pytest.raises(RuntimeError, match="no loss today"):
        here(*words, "checkpoint.every=1", "run_dir=run")
    assert max(path.name for path in (mine / "run/checkpoints").iterdir()) == "step_000002"
    row = json.loads((mine / "run/metrics.jsonl").read_text().splitlines()[-1])
    assert row["step"] == 2
    # With no checkpoint due there is none: the weights are those of no step.
    with pytest.raises(RuntimeError, match="no loss today"):
        here(*words, "checkpoint.every=0", "run_dir=other")
    assert not list((mine / "other/checkpoints").iterdir())


def test_several_ranks_share_one_answer_of_a_reward(mine: Path, few: str) -> None:
    in_folder(mine, "reward.function=mine:any_rank", "gpus=2", few, "run_dir=run")
    assert set((mine / "ranks.txt").read_text().split()) == {"0"}


def test_a_run_that_never_began_leaves_no_folder(mine: Path, here: Callable[..., None], few: str) -> None:
    for change in ("model.path=/no/such/model", "dataset.train=/no/such/file.jsonl", "reward.function=nothing:here"):
        with pytest.raises((SystemExit, UserError)):
            here(change, few, "run_dir=run")
        assert not (mine / "run").exists(), change
    here(few, "run_dir=run")
    assert (mine / "run/finished.json").exists()

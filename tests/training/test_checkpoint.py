"""Checkpoints come back bit for bit, are whole or not there, and the right ones are kept."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from base.errors import CheckpointError
from policy.model import Policy
from policy.ranks import ALONE, Ranks
from policy.settings import ModelSettings
from run import run_folder
from tests.training.test_update import settings
from training import checkpoint
from training.optimizer import open_optimizer
from training.update import Learner


def stepped(policy: Policy) -> torch.optim.Optimizer:
    optimizer = torch.optim.AdamW(policy.model.parameters(), lr=1e-2)
    advance(policy, optimizer)
    return optimizer


def save(
    folder: Path, step: int, policy: Policy, optimizer: torch.optim.Optimizer, score: float | None, keep: int,
    ranks: Ranks = ALONE,
) -> Path:  # fmt: skip
    learner = Learner(policy, optimizer, settings(), ranks)
    with checkpoint.Checkpoints(folder, learner, keep) as saving:
        return saving.save(checkpoint.TrainerState(step, score))


def advance(policy: Policy, optimizer: torch.optim.Optimizer) -> None:
    torch.manual_seed(0)
    ids = torch.randint(2, 200, (2, 9))
    policy.model(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()
    optimizer.zero_grad()


def test_training_goes_on_as_if_nothing_had_happened(
    policy: Policy, model_config: ModelSettings, tmp_path: Path
) -> None:
    optimizer = stepped(policy)
    saved = save(tmp_path, 7, policy, optimizer, 0.5, keep=2)
    advance(policy, optimizer)

    other = Policy.load(model_config, saved)
    other_optimizer = torch.optim.AdamW(other.model.parameters(), lr=1e-2)
    assert checkpoint.restore(saved, other, other_optimizer).step == 7
    advance(other, other_optimizer)
    weights = other.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in policy.model.state_dict().items())


def test_moments_of_eight_bits_come_back_bit_for_bit(
    policy: Policy, model_config: ModelSettings, tmp_path: Path
) -> None:
    options = settings(name="adamw8bit", learning_rate=1e-2)
    optimizer = open_optimizer(policy, options)
    advance(policy, optimizer)
    saved = save(tmp_path, 7, policy, optimizer, 0.5, keep=2)
    moments = load_file(saved / "trainer/optimizer.safetensors")
    assert moments["model.embed_tokens.weight/state1"].dtype == torch.uint8
    advance(policy, optimizer)

    other = Policy.load(model_config, saved)
    other_optimizer = open_optimizer(other, options)
    assert checkpoint.restore(saved, other, other_optimizer).step == 7
    advance(other, other_optimizer)
    weights = other.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in policy.model.state_dict().items())


def test_training_goes_on_while_a_checkpoint_is_written(
    policy: Policy, model_config: ModelSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is saved is the state of when it was asked for; the next one waits."""
    optimizer = stepped(policy)
    wanted = {name: value.clone() for name, value in policy.model.state_dict().items()}
    real, may = checkpoint.save_file, threading.Event()

    def slow(*arguments: Any) -> None:
        assert may.wait(60)
        real(*arguments)

    monkeypatch.setattr(checkpoint, "save_file", slow)
    with checkpoint.Checkpoints(tmp_path, Learner(policy, optimizer, settings()), 2) as saving:
        saved = saving.save(checkpoint.TrainerState(1))
        advance(policy, optimizer)
        assert not saved.exists() and not run_folder.checkpoints(tmp_path)
        may.set()
        saving.wait()
        assert run_folder.checkpoints(tmp_path) == [saved]
    other = Policy.load(model_config, saved)
    for name, value in other.model.state_dict().items():
        assert torch.equal(value, wanted[name]) and not torch.equal(value, policy.model.state_dict()[name]), name


def test_a_kill_in_the_middle_of_writing_costs_no_earlier_checkpoint(toy_folder: Path, tmp_path: Path) -> None:
    script = f"""
import os, signal, time
from pathlib import Path
import torch
from tests.toy_policy import toy_model
from training import checkpoint
from tests.training.test_checkpoint import advance, save
from policy.model import Policy
from tests.training.test_update import settings
from training.update import Learner
policy = Policy.load(toy_model({str(toy_folder)!r}))
optimizer = torch.optim.AdamW(policy.model.parameters())
advance(policy, optimizer)
save(Path({str(tmp_path)!r}), 1, policy, optimizer, None, 2)
real = checkpoint.save_file
def half(tensors, path):
    real(tensors, path)
    os.truncate(path, path.stat().st_size // 2)
    os.kill(os.getpid(), signal.SIGKILL)
checkpoint.save_file = half
saving = checkpoint.Checkpoints(Path({str(tmp_path)!r}), Learner(policy, optimizer, settings()), 2)
saving.save(checkpoint.TrainerState(2))
while True:
    advance(policy, optimizer)
"""
    root = Path(__file__).parent.parent.parent
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [path.name for path in run_folder.checkpoints(tmp_path)] == ["step_000001"]
    assert (tmp_path / ".step_000002.part").exists(), "it was killed while it wrote"


def test_the_newest_and_the_best_are_kept(policy: Policy, tmp_path: Path) -> None:
    optimizer = stepped(policy)
    for step, score in enumerate([0.1, 0.9, 0.3, 0.2, None]):
        save(tmp_path, step, policy, optimizer, score, keep=2)
    assert [path.name for path in run_folder.checkpoints(tmp_path)] == ["step_000001", "step_000003", "step_000004"]


def test_a_half_written_checkpoint_is_none(policy: Policy, tmp_path: Path) -> None:
    optimizer = stepped(policy)
    whole = save(tmp_path, 1, policy, optimizer, None, keep=2)
    part = tmp_path / ".step_000002.part"
    part.mkdir()
    (part / "model.safetensors").write_bytes(b"half")
    (tmp_path / "step_000003").mkdir()
    assert run_folder.checkpoints(tmp_path) == [whole]


def test_a_damaged_checkpoint_is_named(policy: Policy, tmp_path: Path) -> None:
    optimizer = stepped(policy)
    saved = save(tmp_path, 1, policy, optimizer, None, keep=2)
    (run_folder.trainer_folder(saved) / run_folder.MOMENTS).write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}")
    with pytest.raises(CheckpointError, match=f"cannot read checkpoint {saved}"):
        checkpoint.restore(saved, policy, optimizer)


def test_a_file_that_cannot_be_written_costs_no_earlier_checkpoint(toy_folder: Path, tmp_path: Path) -> None:
    """In a process of its own whose files may not grow past 64 KiB after the first checkpoint."""
    script = f"""
import resource, sys
from pathlib import Path
import torch
from tests.toy_policy import toy_model
from tests.training.test_checkpoint import save
from base.errors import CheckpointError
from policy.model import Policy
policy = Policy.load(toy_model({str(toy_folder)!r}))
optimizer = torch.optim.AdamW(policy.model.parameters())
save(Path({str(tmp_path)!r}), 1, policy, optimizer, None, 2)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
try:
    save(Path({str(tmp_path)!r}), 2, policy, optimizer, None, 2)
except CheckpointError as error:
    sys.exit(f"error: {{error}}")
"""
    root = Path(__file__).parent.parent.parent
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "cannot write checkpoint" in done.stderr and "resume=auto" in done.stderr and "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["step_000001"]

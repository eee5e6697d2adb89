"""Checkpoints: a folder that `from_pretrained` loads, with the optimizer's state beside the weights.

A checkpoint is written into a hidden folder beside its place and renamed, so whatever kills the run, the folders that
are there are whole. Nothing is pickled: tensors are safetensors, the rest is JSON. Sampling seeds, data order and
learning rate are pure functions of (seed, step), so weights, moments, the step number and what a curriculum has
measured are all of a run's state. Only a run that samples one step ahead has more, the batch it is about to train on:
it is older than the weights.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.distributed.tensor import DTensor, distribute_tensor

from base.errors import CheckpointError
from policy.model import Policy
from policy.ranks import full_tensor
from problems.problem import Problem
from rollout import stored
from rollout.rollout import RolloutStats
from run.run_folder import BATCH, MOMENTS, STATE, TRAINER, checkpoints, trainer_folder
from training.batches import Batch, SourceState
from training.update import Learner


@dataclass
class TrainerState:
    """What a run is beside its weights and moments: enough to go on exactly."""

    step: int = 0  # updates done
    score: float | None = None  # held-out pass@1 of these very weights
    source: SourceState = field(default_factory=SourceState)


def save(
    folder: Path,
    state: TrainerState,
    learner: Learner,
    keep: int,
) -> Path:
    """Writes `folder/step_<step>`, then removes old ones but the `keep` newest and the best by score.

    Every rank calls it, the first one writes. Raises CheckpointError when it cannot be written; earlier checkpoints are
    untouched then.
    """
    policy, optimizer, ranks = learner.policy, learner.optimizer, learner.ranks
    final, part = folder / f"step_{state.step:06d}", folder / f".step_{state.step:06d}.part"
    names = {id(p): name for name, p in policy.model.named_parameters()}
    moments = {
        f"{names[id(p)]}/{key}": full_tensor(value.detach()).cpu().contiguous()
        for p, state_of_p in optimizer.state.items()
        for key, value in state_of_p.items()
    }
    if not ranks.first:
        policy.save(part, write=False)
        return final
    try:
        shutil.rmtree(part, ignore_errors=True)
        trainer = part / TRAINER
        trainer.mkdir(parents=True)
        policy.save(part)
        save_file(moments, trainer / MOMENTS)
        if state.source.ahead is not None:
            stored.write(trainer / BATCH, state.source.ahead.drawn, state.source.ahead.rollouts)
        row = {"step": state.step, "score": state.score, "curriculum": state.source.curriculum}
        (trainer / STATE).write_text(json.dumps(row))
        for path in part.rglob("*"):  # on the disk before the rename makes them the truth
            if path.is_file():
                with open(path, "rb") as file:
                    os.fsync(file.fileno())
        shutil.rmtree(final, ignore_errors=True)
        part.rename(final)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(part, ignore_errors=True)
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"cannot write checkpoint {final} ({reason}); earlier checkpoints are intact, free some disk and "
            "run the same command with resume=auto"
        ) from error
    _prune(folder, keep)
    return final


def _prune(folder: Path, keep: int) -> None:
    everything = checkpoints(folder)
    scores = {path: json.loads((trainer_folder(path) / STATE).read_text())["score"] for path in everything}
    best = max((path for path in everything if scores[path] is not None), key=lambda p: scores[p], default=None)
    for path in everything[:-keep] if keep else []:
        if path != best:
            shutil.rmtree(path)


def restore(
    path: Path, policy: Policy, optimizer: torch.optim.Optimizer, problems: Sequence[Problem] = ()
) -> TrainerState:
    """Puts the optimizer's state of `path` into `optimizer` and returns the rest.

    The weights are the caller's: `Policy.load` reads them from `path`. `problems` are those that a batch under way may
    be of. Raises CheckpointError for a damaged checkpoint.
    """
    trainer = trainer_folder(path)
    try:
        moments = load_file(trainer / MOMENTS)
        row = json.loads((trainer / STATE).read_text())
        state = TrainerState(int(row["step"]), row["score"], SourceState(dict(row.get("curriculum", {}))))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise _damaged(path, error) from error
    parameters = dict(policy.model.named_parameters())
    for name, value in moments.items():
        parameter, _, key = name.rpartition("/")
        p = parameters[parameter]
        value = value.to(p.device)  # the step counter too: the fused AdamW keeps it there
        if key != "step" and isinstance(p, DTensor):
            value = distribute_tensor(value, p.device_mesh, p.placements)
        optimizer.state[p][key] = value
    if (trainer / BATCH).exists():
        drawn, kept = stored.read(trainer / BATCH, problems)
        state.source.ahead = Batch(kept, RolloutStats.of(drawn), drawn)
    return state


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"cannot read checkpoint {path} ({error}); remove it to resume from the one before")

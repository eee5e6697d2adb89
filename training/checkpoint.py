"""Checkpoints: a folder that `from_pretrained` loads, with the optimizer's state beside the weights.

A checkpoint is written into a hidden folder beside its place and renamed, so whatever kills the run, the folders that
are there are whole. Writing takes as long as the disk does and goes on beside the next steps, from copies in host
memory that one rank has made. Nothing is pickled: tensors are safetensors, the rest is JSON. Sampling seeds, data order
and learning rate are pure functions of (seed, step), so weights, moments, the step number and what a curriculum has
measured are all of a run's state. Only a run that samples one step ahead has more, the batch it is about to train on:
it is older than the weights.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from base.errors import CheckpointError
from base.files import replacing_folder
from policy.model import Policy
from policy.ranks import on_host
from problems.problem import Problem
from rollout import stored
from rollout.rollout import RolloutStats
from run.run_folder import BATCH, MOMENTS, STATE, TRAINER, checkpoints, trainer_folder
from training.batches import Batch, SourceState
from training.update import Learner


@dataclass
class TrainerState:
    """What a run is besides its weights and moments: enough to go on exactly."""

    step: int = 0  # updates done
    score: float | None = None  # held-out pass@1 of these very weights
    source: SourceState = field(default_factory=SourceState)


class Checkpoints:
    """The checkpoints of a run's folder, of which one at a time is written while training goes on.

    Use as a context manager: leaving it waits for what is being written. Every rank has one and calls it alike.
    """

    def __init__(self, folder: Path, learner: Learner, keep: int) -> None:
        """`keep`: how many of the newest stay, besides the best by score."""
        self.folder, self.learner, self.keep = folder, learner, keep
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self.wait()
        finally:
            self._writer.shutdown()

    def save(self, state: TrainerState) -> Path:
        """Copies weights and moments to host memory, and starts to write them to `step_<step>`.

        Under FSDP2 all ranks gather tensor by tensor, and the first alone keeps copies. Waits for the checkpoint before
        this one, and raises its error.
        """
        self.wait()
        final = self.folder / f"step_{state.step:06d}"
        policy, optimizer, ranks = self.learner.policy, self.learner.optimizer, self.learner.ranks
        names = {id(p): name for name, p in policy.model.named_parameters()}
        weights = policy.snapshot(keep=ranks.first)
        moments: dict[str, Tensor] = {}
        for p, state_of_p in optimizer.state.items():
            for key, value in state_of_p.items():
                if ranks.first or isinstance(value, DTensor):
                    copy = on_host(torch.as_tensor(value), ranks.first)
                    if copy is not None:
                        moments[f"{names[id(p)]}/{key}"] = copy
        if ranks.first:
            row = json.dumps({"step": state.step, "score": state.score, "curriculum": state.source.curriculum})
            write = partial(_write, final, policy, weights, moments, row, state.source.ahead, self.keep)
            self._writing = self._writer.submit(write)
        return final

    def wait(self) -> None:
        """Until all is on the disk. Raises CheckpointError when it could not be written; earlier checkpoints are
        untouched then."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()


def _write(
    final: Path,
    policy: Policy,
    weights: dict[str, Tensor],
    moments: dict[str, Tensor],
    row: str,
    ahead: Batch | None,
    keep: int,
) -> None:
    try:
        with replacing_folder(final) as part:
            trainer = part / TRAINER
            trainer.mkdir()
            policy.save(part, weights)
            save_file(moments, trainer / MOMENTS)
            if ahead is not None:
                stored.write(trainer / BATCH, ahead.drawn, ahead.rollouts)
            (trainer / STATE).write_text(row)
            for path in part.rglob("*"):  # on the disk before the rename makes them the truth
                if path.is_file():
                    with open(path, "rb") as file:
                        os.fsync(file.fileno())
    except (OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"cannot write checkpoint {final} ({reason}); earlier checkpoints are intact, free some disk and "
            "run the same command with resume=auto"
        ) from error
    _prune(final.parent, keep)


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
        moments = {} if policy.outline else load_file(trainer / MOMENTS)  # a rank that only samples has none
        row = json.loads((trainer / STATE).read_text())
        state = TrainerState(int(row["step"]), row["score"], SourceState(dict(row.get("curriculum", {}))))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise _damaged(path, error) from error
    parameters = dict(policy.model.named_parameters())
    for name, value in moments.items():
        parameter, _, key = name.rpartition("/")
        p = parameters[parameter]
        if key == "step" and optimizer_counts(optimizer):
            optimizer.state[p][key] = int(value)
            continue
        value = value.to(p.device)  # the step counter too: the fused AdamW keeps it there
        if key != "step" and isinstance(p, DTensor):
            value = distribute_tensor(value, p.device_mesh, p.placements)
        optimizer.state[p][key] = value
    if (trainer / BATCH).exists():
        drawn, kept = stored.read(trainer / BATCH, problems)
        state.source.ahead = Batch(kept, RolloutStats.of(drawn), drawn)
    return state


def optimizer_counts(optimizer: torch.optim.Optimizer) -> bool:
    """Whether an optimizer counts its steps in a number rather than in a tensor, as that of 8 bits does."""
    return not isinstance(optimizer, torch.optim.AdamW)


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"cannot read checkpoint {path} ({error}); remove it to resume from the one before")

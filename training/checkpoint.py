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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.distributed.tensor import DTensor, distribute_tensor

from base.errors import CheckpointError
from policy.model import Policy
from policy.ranks import ALONE, Ranks, full_tensor
from rollout import stored
from rollout.rollout import Rollout
from run.run_folder import BATCH, MOMENTS, STATE, checkpoints


def save(
    folder: Path,
    step: int,
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    score: float | None,
    keep: int,
    ranks: Ranks = ALONE,
    ahead: Sequence[Rollout] = (),
    curriculum: Mapping[str, Any] | None = None,
) -> Path:
    """Writes `folder/step_<step>`, then removes old ones but the `keep` newest and the best by `score`.

    `ahead` is the batch of the next step, where it cannot be sampled again. Every rank calls it, the first one writes.
    Raises CheckpointError when it cannot be written; earlier checkpoints
    are untouched then.
    """
    final, part = folder / f"step_{step:06d}", folder / f".step_{step:06d}.part"
    names = {id(p): name for name, p in policy.model.named_parameters()}
    moments = {
        f"{names[id(p)]}/{key}": full_tensor(value.detach()).cpu().contiguous()
        for p, state in optimizer.state.items()
        for key, value in state.items()
    }
    if not ranks.first:
        policy.save(part, write=False)
        return final
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        policy.save(part)
        save_file(moments, part / MOMENTS)
        if ahead:
            stored.write(part / BATCH, ahead)
        (part / STATE).write_text(json.dumps({"step": step, "score": score, "curriculum": dict(curriculum or {})}))
        for path in part.iterdir():  # on the disk before the rename makes them the truth
            with open(path, "rb") as file:
                os.fsync(file.fileno())
        shutil.rmtree(final, ignore_errors=True)
        part.rename(final)
    except (OSError, SafetensorError, RuntimeError) as error:
        shutil.rmtree(part, ignore_errors=True)
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"cannot write checkpoint {final} ({reason}); earlier checkpoints are intact, free some disk and "
            "run the same command with resume=auto"
        ) from None
    _prune(folder, keep)
    return final


def _prune(folder: Path, keep: int) -> None:
    everything = checkpoints(folder)
    scores = {path: json.loads((path / STATE).read_text())["score"] for path in everything}
    best = max((path for path in everything if scores[path] is not None), key=lambda p: scores[p], default=None)
    for path in everything[:-keep] if keep else []:
        if path != best:
            shutil.rmtree(path)


def restore(path: Path, policy: Policy, optimizer: torch.optim.Optimizer) -> int:
    """Puts the optimizer's state of `path` into `optimizer` and returns the step it was saved at.

    The weights are the caller's: `Policy.load` reads them from `path`. Raises CheckpointError for a damaged checkpoint.
    """
    try:
        moments = load_file(path / MOMENTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise _damaged(path, error) from None
    step, _ = progress(path)
    parameters = dict(policy.model.named_parameters())
    for name, value in moments.items():
        parameter, _, key = name.rpartition("/")
        p = parameters[parameter]
        value = value.to(p.device)  # the step counter too: the fused AdamW of train.py keeps it there
        if key != "step" and isinstance(p, DTensor):
            value = distribute_tensor(value, p.device_mesh, p.placements)
        optimizer.state[p][key] = value
    return step


def progress(path: Path) -> tuple[int, dict[str, Any]]:
    """The step that `path` was saved at, and the curriculum's state. Raises CheckpointError."""
    try:
        state = json.loads((path / STATE).read_text())
        return int(state["step"]), dict(state.get("curriculum", {}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"cannot read checkpoint {path} ({error}); remove it to resume from the one before")

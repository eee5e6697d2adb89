"""Ranks: the processes of one run, one per GPU (or, on CPUs, one per share of the cores), and what they tell each
other.

    python train.py gpus=8                 starts eight on this machine
    torchrun ... train.py gpus=8 ...       the same on each of several machines (docs/how-to/eight-gpus.md)

Every rank samples its share of a batch and verifies it; all rollouts are then gathered everywhere, so that advantages
and metrics are computed from the whole batch by the same code on one rank as on sixteen. Each takes its share of the
micro-batches, which are cut to cost alike (training/balance.py), and gradients are summed. What ranks send each other
are pickles between processes of this run; what a program printed travels in them as a string.

With `samplers=4` the last four ranks only sample, one step ahead, while the others update: their weights are one update
old, which the loss corrects for (`loss.correction`). A run that is stopped keeps such a batch in its checkpoint.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor

from base.errors import UserError

Key = TypeVar("Key")

SILENCE = timedelta(hours=2)  # one rank may wait for another's sampling and verification that long


@dataclass(frozen=True)
class Ranks:
    """This process's place among the ranks of a run, and what they do together."""

    rank: int = 0
    world: int = 1
    samplers: int = 0  # the last so many only sample; 0: all sample and train in turn
    training: Any = None  # torch's process group of those that train; None: all

    @classmethod
    def join(cls, samplers: int = 0) -> Ranks:
        """This process's place among the ranks that torchrun or `launch` started; alone if none did."""
        if not cls.started():
            return cls()
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        if not dist.is_initialized():
            # gloo carries what lies on the CPU, such as gathered rollouts
            dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=SILENCE)
        world = dist.get_world_size()
        training = dist.new_group(list(range(world - samplers)), timeout=SILENCE) if samplers else None
        return cls(dist.get_rank(), world, samplers, training)

    @property
    def trainers(self) -> int:
        """How many ranks train: the first ones."""
        return self.world - self.samplers

    @property
    def trains(self) -> bool:
        return self.rank < self.trainers

    @property
    def samples(self) -> bool:
        return not self.samplers or not self.trains

    @staticmethod
    def started() -> bool:
        """Whether torchrun or `launch` has started this process."""
        return "WORLD_SIZE" in os.environ

    def cores(self) -> int | None:
        """This rank's share of the machine's cores; None: all of them."""
        if self.world == 1:
            return None
        return max(1, len(os.sched_getaffinity(0)) // int(os.environ["LOCAL_WORLD_SIZE"]))

    @property
    def first(self) -> bool:
        """The one that writes and shows."""
        return self.rank == 0

    def share(self, count: int) -> range:
        """This rank's part of `count` items to sample; parts are contiguous, in order of rank, as equal as can be."""
        parts, number = (self.samplers, self.rank - self.trainers) if self.samplers else (self.world, self.rank)
        return range(number * count // parts, (number + 1) * count // parts) if self.samples else range(0)

    def all_gather(self, items: list[Any]) -> list[Any]:
        """The items of all ranks, in order of rank, on every rank."""
        return _gather(items, self.world, None)

    def any(self, flag: object) -> bool:
        """Whether the flag is set on any rank."""
        return any(self.all_gather([bool(flag)]))

    def broadcast(self, value: Callable[[], Any]) -> Any:
        """What the first rank computes, on every rank."""
        if self.world == 1:
            return value()
        box = [value() if self.first else None]
        dist.broadcast_object_list(box)
        return box[0]

    def first_then_others(self, work: Callable[[], Any]) -> Any:
        """What `work` gives: the first rank does it, then the first of every other machine, then all others at once.

        What the first has left on the disk the others find. Where `work` raises a UserError, that rank raises it, and
        those that wait exit without a word.
        """
        turn = 0 if self.first else 1 if os.environ.get("LOCAL_RANK") == "0" else 2
        found, failure = None, None
        for now in range(3):
            if now == turn:
                try:
                    found = work()
                except UserError as error:
                    failure = error
            if self.any(failure):  # waits for all
                raise failure or SystemExit(1)
        return found

    def first_alone(self, work: Callable[[], None]) -> None:
        """Does `work` on the first rank. Where it raises a UserError there, the others exit without a word."""
        self.first_then_others(lambda: work() if self.first else None)

    def sum(self, totals: dict[Key, float]) -> dict[Key, float]:
        """Adds up, key by key, what all training ranks have."""
        parts = _gather([totals], self.trainers, self.training)
        return {key: exact_sum([part.get(key, 0.0) for part in parts]) for key in {k: None for p in parts for k in p}}

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replaces each gradient by its sum over the training ranks; where a rank has none, it counts as zero."""
        if self.trainers == 1:
            return
        pending = []
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            pending.append(dist.all_reduce(parameter.grad, group=self.training, async_op=True))
        for work in pending:
            work.wait()

    def broadcast_weights(self, parameters: Iterable[Tensor]) -> None:
        """Gives the weights of the first rank to the ranks that only sample."""
        if self.samplers:
            for parameter in parameters:
                dist.broadcast(parameter.data, 0)

    def leave(self) -> None:
        if self.world > 1 and dist.is_initialized():  # a single rank's group is vLLM's own to end
            if "vllm.distributed.parallel_state" in sys.modules:
                from vllm.distributed.parallel_state import destroy_distributed_environment, destroy_model_parallel

                destroy_model_parallel()  # its groups before the one they are parts of
                destroy_distributed_environment()
            if dist.is_initialized():
                dist.destroy_process_group()


ALONE = Ranks()


def exact_sum(values: list[float]) -> float:
    """The sum, exact in any order; of infinities too, which fsum refuses to add up, as it does what overflows."""
    try:
        return math.fsum(values) if all(map(math.isfinite, values)) else sum(values)
    except OverflowError:
        return sum(sorted(values))


def _gather(items: list[Any], world: int, group: Any) -> list[Any]:
    if world == 1:
        return items
    parts: list[Any] = [None] * world
    dist.all_gather_object(parts, items, group)
    return [item for part in parts for item in part]


def full_tensor(tensor: Tensor) -> Tensor:
    """A tensor that FSDP2 has spread over the ranks, gathered on each (they must all ask); any other as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def on_host(tensor: Tensor, keep: bool = True) -> Tensor | None:
    """A whole copy of a tensor in host memory; None where it is not to be kept. Of one that FSDP2 has spread, all
    ranks must ask."""
    whole = full_tensor(tensor.detach())
    return whole.to("cpu", copy=True).contiguous() if keep else None

"""Weights on their way from the ranks that train to engines that only sample, in buckets of one dtype each.

The first rank sends, and the process of every such engine receives, in a group of their own: an engine has torch's
default group for itself. The names, shapes and dtype of a bucket are told once, through the store that the ranks met
at.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Container, Iterator, Sequence
from itertools import count
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from policy.model import Policy
from policy.ranks import SILENCE, Ranks
from policy.samplers.sampler import Completion, Sampling

BUCKET = 2**28  # bytes, or a single larger weight

Layout = list[tuple[str, list[int], str]]  # of a bucket: names, shapes and dtype, in order; empty: nothing follows


class Channel:
    """One end of it. Number 0 of `size` sends."""

    def __init__(self, number: int, size: int, device: torch.device) -> None:
        """Waits for the other ends."""
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        self.store = dist.PrefixStore("weights", dist.TCPStore(address, port, is_master=False, timeout=SILENCE))
        self.group: Any
        if device.type == "cuda":
            options = dist.ProcessGroupNCCL.Options()
            options._timeout = SILENCE
            self.group = dist.ProcessGroupNCCL(self.store, number, size, options)
        else:
            self.group = dist.ProcessGroupGloo(self.store, number, size, SILENCE)
        self.device = device
        self.layouts: list[Layout] = []

    def broadcast(self, tensor: Tensor) -> None:  # [values]
        self.group.broadcast([tensor], dist.BroadcastOptions()).wait()

    def send(self, weights: Iterator[tuple[str, Tensor]]) -> None:
        """Names and weights, each of any shape, in the same order every time."""
        told, number = len(self.layouts), 0
        for bucket in buckets(weights):
            layout = [(name, list(weight.shape), str(weight.dtype).removeprefix("torch.")) for name, weight in bucket]
            if number == len(self.layouts):
                self.layouts.append(layout)
                self.store.set(f"bucket/{number}", json.dumps(layout))
            self.broadcast(torch.cat([weight.reshape(-1) for _, weight in bucket]))  # [values]
            number += 1
        if not told:
            self.store.set(f"bucket/{number}", json.dumps([]))

    def receive(self) -> Iterator[tuple[str, Tensor]]:
        """What number 0 sends, as it comes."""
        for number in range(len(self.layouts)) if self.layouts else count():
            if number == len(self.layouts):
                layout = json.loads(self.store.get(f"bucket/{number}"))
                if not layout:
                    return
                self.layouts.append(layout)
            layout = self.layouts[number]
            sizes = [math.prod(shape) for _, shape, _ in layout]
            flat = torch.empty(sum(sizes), dtype=getattr(torch, layout[0][2]), device=self.device)  # [values]
            self.broadcast(flat)
            for (name, shape, _), values in zip(layout, flat.split(sizes), strict=True):
                yield name, values.view(shape)


def buckets(weights: Iterator[tuple[str, Tensor]]) -> Iterator[list[tuple[str, Tensor]]]:
    """The weights in lists of one dtype and at most BUCKET bytes, or of one."""
    bucket: list[tuple[str, Tensor]] = []
    size = 0
    for name, weight in weights:
        if bucket and (size + weight.nbytes > BUCKET or weight.dtype != bucket[0][1].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append((name, weight))
        size += weight.nbytes
    if bucket:
        yield bucket


class Sender:
    """Stands for the engines on a rank that only trains: it draws nothing, and `sync` hands the weights over."""

    sleeping_bytes = 0

    def __init__(self, policy: Policy, ranks: Ranks) -> None:
        self.policy = policy
        self.channel = Channel(0, 1 + ranks.samplers, policy.device) if ranks.first else None
        self.sync()

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        n: int,
        sampling: Sampling,
        seed: int,
        done: Callable[[int, Completion], None],
        wanted: Container[int] | None = None,
        grows: Callable[[int, list[int]], None] | None = None,
    ) -> None:
        assert not prompts, "the share of a rank that only trains is empty"

    def sleep(self) -> None:
        pass

    def sync(self) -> None:
        if self.channel is not None:
            self.channel.send(self.policy.weights())
        elif self.policy.sharded:
            for _ in self.policy.weights():  # takes part in gathering them
                pass


def repack_experts(model: nn.Module) -> None:
    """Makes vLLM's engine on a CPU lay out the experts of a mixture anew at the next reload of `model`'s weights.

    Its kernels for CPUs read a layout of their own, and vLLM 0.32 makes it at the first load only.
    """
    for module in model.modules():
        method: Any = getattr(module, "quant_method", None)
        if getattr(method, "moe_kernel", None) is not None:
            method.moe_kernel = None


class Receiver:
    """What vLLM's worker learns (`worker_extension_cls`): to take weights from the trainer."""

    channel: Channel | None = None

    def receive_weights(self, number: int, size: int) -> None:
        """Takes all weights that the trainer sends, and loads them."""
        worker: Any = self
        if self.channel is None:
            self.channel = Channel(number, size, worker.device)
        if worker.device.type == "cpu":
            worker.apply_model(repack_experts)
        arriving = self.channel.receive()
        worker.reload_weights(weights_iterator=arriving)
        for _ in arriving:  # what the model does not read
            pass

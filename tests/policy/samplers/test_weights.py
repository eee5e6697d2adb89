"""Weights that one rank sends and another receives, over gloo: two processes stand for a trainer and an engine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from policy.ranks import SILENCE, Ranks
from policy.samplers import weights
from tests.conftest import ROOT

CPU = torch.device("cpu")
BUCKET = 64  # bytes


def sent(number: int) -> list[tuple[str, Tensor]]:
    """Of the send of this number: several in a bucket, one too large for any, three dtypes, and an empty one last."""
    generator = torch.Generator().manual_seed(number)
    shapes = {"a": (3, 2), "b": (4,), "large": (5, 7), "half": (2, 3), "scalar": (), "last": (4, 4)}
    found = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    found["half"] = found["half"].bfloat16()
    return [*found.items(), ("count", torch.arange(number, number + 3)), ("none", torch.empty(0, 3))]


class Engine(weights.Receiver):
    """As vLLM's worker, of a model that does not read the last two weights that come."""

    device = CPU

    def __init__(self) -> None:
        self.loaded: dict[str, Tensor] = {}

    def apply_model(self, change: Any) -> None:
        change(torch.nn.Module())

    def reload_weights(self, weights_iterator: Iterator[tuple[str, Tensor]]) -> None:
        names = [name for name, _ in sent(0)][:-2]
        self.loaded = {name: weight for name, (_, weight) in zip(names, weights_iterator, strict=False)}


def work(out: str) -> None:
    """One of the two ranks."""
    torch.set_num_threads(1)
    weights.BUCKET = BUCKET
    ranks = Ranks.join(samplers=1)
    if ranks.trains:
        assert ranks.training._get_backend(CPU).options._timeout == SILENCE
        numbers = iter((1, 2))
        policy: Any = SimpleNamespace(device=CPU, sharded=False, weights=lambda: iter(sent(next(numbers))))
        sender = weights.Sender(policy, ranks)
        sender.sync()
        assert sender.channel is not None
        torch.save([len(layout) for layout in sender.channel.layouts], Path(out) / "buckets.pt")
    else:
        engine = Engine()
        for number in (1, 2):
            engine.receive_weights(1, 2)
            torch.save(engine.loaded, Path(out) / f"{number}.pt")
    ranks.all_gather([])  # nobody leaves before all has arrived
    ranks.leave()


def test_an_engine_gets_what_the_trainer_sends(tmp_path: Path) -> None:
    """Twice, with other values; the layout is told with the first. The group of those that train is as patient as that
    of all."""
    script = "from run.launch import launch; from tests.policy.samplers.test_weights import work; import sys; "
    done = subprocess.run(
        [sys.executable, "-c", script + "launch(2, work, sys.argv[1])", tmp_path],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    for number in (1, 2):
        loaded = torch.load(tmp_path / f"{number}.pt", weights_only=True)
        assert list(loaded) == [name for name, _ in sent(number)][:-2]
        for name, weight in sent(number)[:-2]:
            assert loaded[name].dtype == weight.dtype and torch.equal(loaded[name], weight), name
    assert torch.load(tmp_path / "buckets.pt", weights_only=True) == [2, 1, 1, 1, 1, 1, 1]

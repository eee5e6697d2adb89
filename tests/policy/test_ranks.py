"""Two processes with gloo stand for two GPUs: what one rank computes, two compute, replicated or sharded."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from policy.ranks import Ranks, exact_sum

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys, json
import torch
from pathlib import Path
from torch.distributed.tensor import DTensor
from training import checkpoint
from policy.model import Policy
from policy.lora import LoraSettings
from policy.ranks import Ranks, full_tensor
from run.launch import launch
from training.update import Learner
from tests.toy_policy import toy_model
from tests.training.test_checkpoint import save
from tests.training.test_update import batch, objective, settings


def starve(policy):
    real, calls = policy.logprobs, []

    def once(*arguments):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("can't allocate memory")  # as torch's CPU allocator says it
        return real(*arguments)

    policy.logprobs = once


def train(folder, out, ranks, sharded, rank_lora, checkpointing, starved=False):
    model = toy_model(folder, gradient_checkpointing=checkpointing)
    adapters = LoraSettings(rank=rank_lora, alpha=8, targets="all-linear")
    policy = Policy.load(model, adapters=adapters)
    rollouts = batch(policy)  # before sharding: the same on every rank
    if sharded:
        policy.shard()
    if starved and not ranks.first:
        starve(policy)
    optimizer = torch.optim.AdamW(policy.trainable(), lr=0.01)
    figures = []
    for _ in range(2):
        learner = Learner(policy, optimizer, settings(60), ranks)
        figures.append(learner.update(rollouts, objective(epochs=2, gap=9.0)))
    weights = dict(policy.weights())
    saved = save(out, 2, policy, optimizer, None, 1, ranks)
    if ranks.first:
        torch.save({k: v.clone() for k, v in weights.items()}, out / "weights.pt")
        (out / "figures.json").write_text(json.dumps(figures))
    ranks.all_gather([])  # written
    other = torch.optim.AdamW(policy.trainable(), lr=0.01)
    assert checkpoint.restore(saved, policy, other).step == 2
    for p in policy.trainable():
        for key in ("exp_avg", "exp_avg_sq"):
            assert torch.equal(full_tensor(optimizer.state[p][key]), full_tensor(other.state[p][key]))


def gather(folder, out, ranks):
    # notes the dtypes of what ranks send each other when they hand weights over, and the names of the weights
    policy = Policy.load(toy_model(folder, compute_dtype="bfloat16"))
    policy.shard()
    real, sent = DTensor.full_tensor, []
    DTensor.full_tensor = lambda weight: (sent.append(str(weight.dtype)), real(weight))[1]
    weights = dict(policy.weights())
    DTensor.full_tensor = real
    assert weights["lm_head.weight"] is weights["model.embed_tokens.weight"]
    if ranks.first:
        (out / "gathered.json").write_text(json.dumps([sent, list(weights)]))


def work(folder, out):
    torch.set_num_threads(1)
    ranks = Ranks.join()
    gather(folder, Path(out), ranks)
    for how, setting in {"full": (0, False), "lora": (4, True)}.items():
        if ranks.first:
            train(folder, Path(out) / f"alone-{how}", Ranks(), False, *setting)
        train(folder, Path(out) / f"replicate-{how}", ranks, False, *setting)
        train(folder, Path(out) / f"shard-{how}", ranks, True, *setting)
        train(folder, Path(out) / f"starved-{how}", ranks, False, *setting, starved=True)
    ranks.leave()


if __name__ == "__main__":
    launch(2, work, *sys.argv[1:])
"""


@pytest.fixture(scope="module")
def trained(toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ranks")
    script = out / "work.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, toy_folder, out],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.mark.parametrize("how", ["replicate", "shard", "starved"])
@pytest.mark.parametrize("what", ["full", "lora"])
def test_two_ranks_equal_one(trained: Path, how: str, what: str) -> None:
    """Weights after four updates and every metric; `lora` with gradient checkpointing.

    `starved`: one rank runs out of memory once, and both cut the batch anew.
    """
    alone, both = trained / f"alone-{what}", trained / f"{how}-{what}"
    weights = torch.load(both / "weights.pt", weights_only=True)
    expected = torch.load(alone / "weights.pt", weights_only=True)
    assert weights.keys() == expected.keys()
    for name, value in expected.items():
        # AdamW moves a weight by up to 0.01 whatever the size of its gradient, so rounding shows where that is tiny
        torch.testing.assert_close(weights[name], value, rtol=0, atol=1e-3, msg=name)
    figures = zip(*(json.loads((folder / "figures.json").read_text()) for folder in (both, alone)), strict=True)
    for ours, theirs in figures:
        # a prompt whose rows two ranks share goes through the model on both
        assert ours.pop("forward_tokens") >= theirs["forward_tokens"]
        assert 1 <= ours.pop("imbalance") < 1.5
        for name, value in ours.items():
            assert theirs[name] == pytest.approx(value, rel=1e-3, abs=2e-4), name
    AutoModelForCausalLM.from_pretrained(both / "step_000002")


def test_weights_are_gathered_in_the_compute_dtype_and_a_tied_one_once(trained: Path) -> None:
    """In bf16, half of what fp32 master weights would be; the head of a small model is a tenth of it and more."""
    sent, names = json.loads((trained / "gathered.json").read_text())
    assert set(sent) == {"torch.bfloat16"}
    assert len(sent) == len(names) - 1 and "lm_head.weight" in names


@given(st.lists(st.floats(), min_size=1, max_size=5))
@example([8.98846567431158e307] * 2)
@example([1.7e308, 1.7e308, -1.7e308])
def test_a_sum_over_ranks_is_exact_and_of_any_numbers(values: list[float]) -> None:
    found = exact_sum(values)
    assert found == pytest.approx(sum(values), nan_ok=True) or all(map(math.isfinite, values))
    assert math.isfinite(found) <= all(map(math.isfinite, values))
    if all(map(math.isfinite, values)):
        assert found == exact_sum(values[::-1])


def test_shares_cover_everything_once() -> None:
    for world in (1, 2, 3, 8):
        for count in (0, 1, 5, 128):
            parts = [list(Ranks(rank, world).share(count)) for rank in range(world)]
            assert [index for part in parts for index in part] == list(range(count))
            assert max(map(len, parts)) - min(map(len, parts)) <= 1

"""What a training config cannot be is one sentence with the valid range, before anything is loaded."""

from __future__ import annotations

import pytest

from base.errors import ConfigError
from tests.conftest import composed
from training.settings import TrainSettings


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("steps=0", "steps is 0; it must be at least 1"),
        ("steps=many", "steps is 'many'; it must be a whole number"),
        ("group=1", "group is 1; it must be at least 2"),
        ("group=8.5", "group is 8.5; it must be a whole number"),
        ("prompts=0", "prompts is 0; it must be at least 1"),
        ("gpus=0", "gpus is 0; it must be at least 1"),
        ("samplers=-1", "samplers is -1; it must be at least 0"),
        ("shard=1", "shard is 1; it must be true or false"),
        ("optimizer.warmup=10", "optimizer.warmup is 10; it must be at least 0 and less than 1"),
        ("optimizer.learning_rate=0", "optimizer.learning_rate is 0; it must be more than 0"),
        ("optimizer.betas=[0.9,1]", "optimizer.betas.1 is 1; it must be less than 1"),
        ("seed=-1", "seed is -1; it must be at least 0 and at most 1e+09"),
        ("seed=36893488147419103232", "seed is 36893488147419103232; it must be at least 0 and at most 1e+09"),
        ("loss.clip_low=1.5", "loss.clip_low is 1.5; it must be at least 0 and at most 1"),
        ("loss.correction_cap=0.5", "loss.correction_cap is 0.5; it must be at least 1"),
        ("optimizer.eps=0", "optimizer.eps is 0; it must be more than 0"),
        ("optimizer.betas=[0.9]", "optimizer.betas is [0.9]; it must be a list of at least 2"),
        ("optimizer.betas=[0.9,0.9,0.9]", "optimizer.betas is [0.9, 0.9, 0.9]; it must be a list of at most 2"),
        ("runs=''", "runs is ''; it must be text, and not empty"),
        ("model=qwen3_4b model.path=null", "model.path is not given; it must be a folder or a name on the hub"),
        ("sandbox.workers=-1", "sandbox.workers is -1; it must be at least 1"),
        ("sandbox=ray +sandbox.adress=x", "sandbox.adress is unknown; the keys are executor, workers, address"),
        (
            "advantage=max_rl +reward.wrong_output=-1",
            "advantage=max_rl divides by a group's mean",
        ),
        ("rollout.temperature=0", "rollout.temperature is 0; it must be more than 0"),
        ("rollout.temperature=-1", "rollout.temperature is -1; it must be at least 0"),
        ("heldout.temperature=3", "heldout.temperature is 3; it must be at least 0 and at most 2"),
        ("rollout.top_p=0", "rollout.top_p is 0; it must be more than 0 and at most 1"),
        ("rollout.top_p=1.5", "rollout.top_p is 1.5; it must be more than 0 and at most 1"),
        ("loss.kl=no", "loss.kl is 'no'; it must be a number"),
        ("loss.variant=bnpo", "loss.variant is 'bnpo'; the choices are 'grpo', 'dr_grpo', 'dapo', 'gspo', 'cispo'"),
        ("advantage=median", "advantage is 'median'; the choices are 'group', 'batch', 'none', 'max_rl'"),
        ("prompts_too_long=cut", "prompts_too_long is 'cut'; the choices are 'drop', 'refuse'"),
        ("teacher.n=0", "teacher.n is 0; it must be at least 1"),
        ("heldout.samples=0", "heldout.samples is 0; it must be at least 1"),
        ("curriculum.order=random", "curriculum.order is 'random'; the choices are 'shuffle'"),
        ("lora.rank=-1", "lora.rank is -1; it must be at least 0"),
        ("+optimizer.momentum=0.9", "optimizer.momentum is unknown; the keys are name, learning_rate, betas"),
        ("wandb=maybe", "wandb is 'maybe'; the choices are 'disabled', 'offline', 'online'"),
    ],
)
def test_a_wrong_value_is_named(override: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        TrainSettings.read(composed(*override.split()))
    assert str(error.value).startswith(sentence)


def test_sequence_corrections_want_the_whole_distribution() -> None:
    """With top_p below 1 the sampler's log-probs are of the cut distribution: a sequence's weight shrinks with
    length."""
    for kind in ("sequence_truncate", "sequence_mask"):
        with pytest.raises(ConfigError, match=f"loss.correction={kind} needs rollout.top_p=1, not 0.8"):
            TrainSettings.read(composed(f"loss.correction={kind}", "rollout.top_p=0.8"))
        TrainSettings.read(composed(f"loss.correction={kind}"))


def test_what_vllm_would_not_draw_at_is_refused() -> None:
    """Below 0.01 it would draw at 0.01, and the trainer would score at another."""
    for value, words in (("0.009", "it must be 0 or at least 0.01"), ("3", "it must be at most 2")):
        with pytest.raises(ConfigError, match=rf"^rollout\.temperature is {value}; with rollout=vllm {words}$"):
            TrainSettings.read(composed("rollout=vllm", f"rollout.temperature={value}"))
        TrainSettings.read(composed("rollout=transformers", f"rollout.temperature={value}"))
    for value in ("0.01", "2"):
        TrainSettings.read(composed("rollout=vllm", f"rollout.temperature={value}"))


def test_what_may_be_a_fraction_or_null_may() -> None:
    TrainSettings.read(composed("stall_s=0.5", "lora.alpha=0.5", "steps=null", "optimizer.eps=1", "resample=0"))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["gpus=2", "samplers=2"], "samplers is 2; of gpus=2 at least one must train"),
        (["rollout.quantize=int8"], "rollout.quantize is for vLLM; add rollout=vllm"),
        (["rollout=vllm", "rollout.quantize=int8", "experiment=paper"], "rollout.quantize draws from rounded weights"),
        (["rollout=vllm", "rollout.quantize=int8", "gpus=2", "samplers=1"], "rollout.quantize goes with samplers=0"),
        (["gpus=2", "samplers=1", "experiment=paper"], "samplers= trains on batches that weights one update old"),
        (["gpus=2", "samplers=1", "rollout=vllm", "shard=true"], "shard=true needs gpus= above 1, without those of"),
        (["gpus=2", "shard=true"], "shard=true needs gpus= above 1, .*and rollout=vllm"),
        (["gpus=2", "shard=true", "rollout=vllm", "optimizer=adamw8bit"], "optimizer=adamw8bit goes with shard=false"),
        (
            ["gpus=2", "shard=true", "rollout=vllm", "lora.rank=8", "lora.quantize=nf4"],
            "lora.quantize goes with shard=false",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(overrides: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        TrainSettings.read(composed(*overrides))

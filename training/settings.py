"""The config of train.py with types and ranges: conf/train.yaml has the defaults and says what each key means."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from base.settings import Count, Positive, Seed, Settings, Whole
from policy.lora import LoraSettings
from policy.settings import ModelSettings, RolloutSettings, unshardable
from problems.load import Dataset
from problems.task import PromptSettings
from rollout.advantage import Scale
from rollout.curriculum import CurriculumSettings
from sandbox.settings import SandboxSettings
from training.loss import LossConfig
from training.optimizer import OptimizerSettings
from training.teacher import TeacherSettings


class HeldoutSettings(Settings):
    every: Whole
    samples: Count
    temperature: Annotated[float, Field(ge=0, le=2)]  # vLLM knows no higher one


class CheckpointSettings(Settings):
    every: Whole
    keep: Whole


class TrainSettings(Settings):
    """Groups whose keys differ by option (language, reward) are validated where they are used."""

    method: Literal["grpo", "distillation", "rejection_sampling"]
    model: ModelSettings
    language: dict[str, Any]
    language_mix: list[str] | None
    dataset: Dataset
    reward: dict[str, Any]
    sandbox: SandboxSettings
    optimizer: OptimizerSettings
    rollout: RolloutSettings
    curriculum: CurriculumSettings
    loss: LossConfig
    teacher: TeacherSettings
    lora: LoraSettings
    heldout: HeldoutSettings
    checkpoint: CheckpointSettings
    warm_start: str | None
    steps: Count | None
    prompts: Count
    group: Count
    prompt: PromptSettings
    seed: Seed
    epochs_per_batch: Count
    advantage: Scale
    extract: Literal["default", "paper"]
    resample: Whole
    overlong: Literal["keep", "mask"]
    prompts_too_long: Literal["drop", "refuse"]
    gpus: Count
    samplers: Whole
    shard: bool
    stall_s: Positive
    run_dir: str | None
    runs: Annotated[str, Field(min_length=1)]
    resume: Literal["auto"] | None
    wandb: Literal["disabled", "offline", "online"]
    tensorboard: bool
    debug: bool
    fit: bool

    @model_validator(mode="after")
    def _grpo_can_learn(self) -> TrainSettings:
        if self.method != "grpo":
            return self
        if self.group < 2:
            raise ValueError("group is 1; it must be at least 2: a program is compared with the others of its group")
        if self.rollout.temperature == 0:
            raise ValueError("rollout.temperature is 0; it must be more than 0: equal programs teach nothing")
        below = [key for key, value in self.reward.items() if isinstance(value, int | float) and value < 0]
        if self.advantage == "max_rl" and below:
            raise ValueError(
                f"advantage=max_rl divides by a group's mean reward, and reward.{below[0]} is {self.reward[below[0]]}; "
                "it must be 0 or more"
            )
        if self.loss.correction.startswith("sequence") and self.rollout.top_p < 1:
            raise ValueError(
                f"loss.correction={self.loss.correction} needs rollout.top_p=1, not {self.rollout.top_p}: the "
                "sampler's log-probs are those of the cut distribution, which shrinks a sequence's weight with its "
                "length; use token_truncate or token_mask"
            )
        return self

    @model_validator(mode="after")
    def _the_reference_is_the_beginning(self) -> TrainSettings:
        if self.warm_start is not None and self.loss.kl:
            raise ValueError(
                "loss.kl pulls towards the model's own weights, where warm_start did not begin; set it to 0"
            )
        return self

    @model_validator(mode="after")
    def _supervised_is_simple(self) -> TrainSettings:
        if self.method == "grpo":
            return self
        if self.language_mix is not None and len(self.language_mix) > 1:
            raise ValueError(f"method={self.method} learns one language at a time; leave language_mix out")
        if self.samplers:
            raise ValueError(f"samplers= goes with method=grpo; with method={self.method} all gpus train")
        self.teacher.check(self.method)
        return self

    @model_validator(mode="after")
    def _ranks_can_be(self) -> TrainSettings:
        if self.shard and (self.gpus - self.samplers <= 1 or self.rollout.engine == "transformers"):
            raise ValueError(
                "shard=true needs gpus= above 1, without those of samplers=, and rollout=vllm: transformers' generate "
                "wants all weights"
            )
        if self.shard and (why := unshardable(self.optimizer.name, self.lora.quantize is not None)):
            raise ValueError(why)
        if self.samplers >= self.gpus:
            raise ValueError(f"samplers is {self.samplers}; of gpus={self.gpus} at least one must train")
        if self.samplers and self.loss.correction == "none":
            raise ValueError(
                "samplers= trains on batches that weights one update old have drawn, and loss.correction=none would "
                "not correct for it; add loss.correction=token_truncate"
            )
        return self

    @model_validator(mode="after")
    def _rounding_is_corrected(self) -> TrainSettings:
        if self.rollout.quantize and self.loss.correction == "none":
            raise ValueError(
                "rollout.quantize draws from rounded weights, and loss.correction=none would not correct for it; add "
                "loss.correction=token_truncate"
            )
        if self.rollout.quantize and self.samplers:
            raise ValueError("rollout.quantize goes with samplers=0: samplers are sent the weights as they are")
        return self

"""The config of study.chat with types and ranges."""

from __future__ import annotations

from typing import Any, Literal

from base.settings import ScriptSettings
from chat.settings import AnyModel
from policy.settings import RolloutSettings
from problems.load import Dataset
from sandbox.settings import SandboxSettings


class ChatSettings(ScriptSettings):
    """conf/chat.yaml has the defaults and says what each key means."""

    model: AnyModel
    language: dict[str, Any]
    dataset: Dataset
    rollout: RolloutSettings
    sandbox: SandboxSettings
    checkpoint: str | None
    split: Literal["heldout", "train"]
    seed: int
    run_dir: str

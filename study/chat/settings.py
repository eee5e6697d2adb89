"""The config of study.chat with types and ranges."""

from __future__ import annotations

from typing import Any, Literal

from base.settings import ScriptSettings
from chat.settings import AnyModel
from policy.settings import RolloutSettings
from sandbox.settings import SandboxSettings


class ChatSettings(ScriptSettings):
    """conf/chat.yaml has the defaults and says what each key means."""

    model: AnyModel
    language: dict[str, Any]
    dataset: dict[str, Any]  # its keys differ by option: problems/load.py reads them
    rollout: RolloutSettings
    sandbox: SandboxSettings
    checkpoint: str | None
    split: Literal["heldout", "train"]
    seed: int
    run_dir: str

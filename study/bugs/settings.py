"""The config of study.bugs with types and ranges."""

from __future__ import annotations

from typing import Literal

from base.settings import Count, ScriptSettings, Whole
from chat.settings import AnyModel
from policy.settings import RolloutSettings
from sandbox.settings import SandboxSettings


class BugsSettings(ScriptSettings):
    """conf/bugs.yaml has the defaults and says what each key means."""

    model: AnyModel | None = None
    rollout: RolloutSettings
    sandbox: SandboxSettings
    folder: str
    split: Literal["heldout", "train"]
    step: Whole | None
    problems: Count
    samples: Count
    attempts: Count
    seed: int

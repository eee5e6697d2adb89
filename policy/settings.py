"""The config group `model` of a model of this machine, typed."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from base.settings import Count, NotNegative, Positive, Settings


class ModelSettings(Settings):
    """A model of this machine: conf/model/*.yaml but endpoint.yaml. An option may have keys of its own."""

    model_config = ConfigDict(extra="allow")

    name: str
    build: str | None  # the module of policy/builtin that makes the weights
    path: str | None  # a folder or a hub id
    learning_rate: Positive | None
    temperature: NotNegative
    max_new_tokens: Count
    system: str | None  # a system message
    chat_template_kwargs: dict[str, Any]
    compute_dtype: str
    gradient_checkpointing: bool

"""The config group `model` where the model is only asked: one of this machine, or one behind an endpoint."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Discriminator, Tag, field_validator, model_validator

from base.settings import MISSING, Count, NotNegative, Positive, Settings, Whole
from policy.settings import ModelSettings


class EndpointSettings(Settings):
    """conf/model/endpoint.yaml: a chat model behind any server that speaks OpenAI's chat completions."""

    name: str  # what the server calls it
    base_url: str
    key_env: str  # the environment variable that holds the key
    concurrency: Count  # questions under way at once
    timeout_s: Positive  # for one whole answer, seconds
    retries: Whole
    request: dict[str, Any] | None  # goes into every request; null leaves a key out
    system: str | None  # a system message
    temperature: NotNegative
    max_new_tokens: Count
    learning_rate: None = None  # it cannot be trained

    @model_validator(mode="before")
    @classmethod
    def _given(cls, config: Any) -> Any:
        for key in ("name", "base_url"):
            if isinstance(config, dict) and config.get(key) == MISSING:
                raise ValueError(
                    f"{{key}}.{key} is not given; {{key}}=endpoint needs {{key}}.base_url=http://localhost:8000/v1 "
                    "{key}.name=..."
                )
        return config

    @field_validator("base_url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{{key}} is {url!r}; it looks like http://localhost:8000/v1")
        return url.rstrip("/")


def _kind(config: Any) -> str:
    return "<endpoint>" if isinstance(config, EndpointSettings) or "base_url" in config else "<local>"


AnyModel = Annotated[
    Annotated[EndpointSettings, Tag("<endpoint>")] | Annotated[ModelSettings, Tag("<local>")], Discriminator(_kind)
]

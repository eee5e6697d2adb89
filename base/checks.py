"""Checks of config values: each error names the key, the value and the valid choices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from base.errors import ConfigError


def one_of(key: str, value: object, choices: Iterable[object]) -> None:
    """Raises ConfigError when `value` is not one of `choices`."""
    choices = list(choices)
    if value not in choices:
        raise ConfigError(f"{key} is {value!r}; the choices are {', '.join(map(str, choices))}")


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """A config with its keys joined by dots."""
    if not isinstance(config, dict) or not config:
        return {prefix: config}
    return {k: v for key, value in config.items() for k, v in flat(value, f"{prefix}.{key}".lstrip(".")).items()}

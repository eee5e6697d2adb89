"""Config values that must be one of a few: the error names the key, the value and the choices."""

from __future__ import annotations

from collections.abc import Iterable


class ConfigError(ValueError):
    """A config value that cannot be used. The message is one sentence naming the key and the valid choices."""


def check(key: str, value: object, choices: Iterable[object]) -> None:
    """Raises ConfigError when `value` is none of `choices`."""
    choices = list(choices)
    if value not in choices:
        raise ConfigError(f"{key} is {value!r}; the choices are {', '.join(map(str, choices))}")

"""Functions of the user's own, named in a config by import path: `reward.function=my_module:reward`."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from base.errors import ConfigError


def load_function(key: str, path: str, takes: Sequence[str] = ()) -> Callable[..., Any]:
    """The function `path`, written module:name; modules are also looked for in the working directory.

    `takes`: the arguments that it will be called with, in order. Raises ConfigError that names the config key `key`
    when there is no such function.
    """
    module, colon, name = path.partition(":")
    if not colon or not module or not name:
        raise ConfigError(f"{key} is {path!r}; write module:function, e.g. my_module:my_function")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        found = importlib.import_module(module)
    except Exception as error:  # whatever the user's module raises while it is imported
        raise ConfigError(f"{key}: cannot import {module!r} ({type(error).__name__}: {error})") from error
    function = getattr(found, name, None)
    if not callable(function):
        there = ", ".join(sorted(key for key, value in vars(found).items() if callable(value) and key[0] != "_"))
        raise ConfigError(f"{key}: {module!r} has no function {name!r}; it has {there or 'none'}")
    try:
        inspect.signature(function).bind(*takes)
    except ValueError:  # of some builtins Python knows none
        pass
    except TypeError as error:
        raise ConfigError(f"{key}: {name!r} is called with ({', '.join(takes)}), and {error}") from error
    return function

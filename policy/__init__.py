import importlib
import importlib.util
import logging
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it misses a kernel of a hub on CPUs, and says so each time


class _Later(ModuleType):
    """A module that is loaded once something of it is asked for."""

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        self.__spec__ = spec
        self.__file__ = spec.origin

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


# peft imports it, and it torch's compiler: a second of each start, for what only lora.quantize and adamw8bit want.
if "bitsandbytes" not in sys.modules and (found := importlib.util.find_spec("bitsandbytes")):
    sys.modules["bitsandbytes"] = _Later(found)

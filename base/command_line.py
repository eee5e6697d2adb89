"""The words of a command that is no Hydra script: `python -m sandbox.verify language=lua workers=2`.

class Arguments(Command):
    usage: ClassVar[str] = "python -m study.hacking run=runs/NAME programs=100"
    run: str
    programs: Count = 100

arguments = Arguments.parse(sys.argv[1:])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, ValidationError

from base.errors import ConfigError
from base.settings import Settings, sentence

Names = Annotated[tuple[str, ...], BeforeValidator(lambda words: tuple(words.split(",")))]  # written a,b,c


class Command(Settings):
    """Base of a command's arguments: each field is a key, and a field without a default must be given."""

    usage: ClassVar[str]  # an example to type
    bare: ClassVar[tuple[str, ...]] = ()  # the fields that are written without their key, in this order

    @classmethod
    def parse(cls, words: Sequence[str]) -> Self:
        """Raises ConfigError: one sentence that names the word, what would be valid, and how the command is used."""
        given: dict[str, str] = {}
        places = iter(cls.bare)
        for word in words:
            key, equals, value = word.partition("=")
            if not equals or not key.isidentifier():  # a path may hold an equals sign
                key, value = next(places, ""), word
                if not key:
                    raise ConfigError(f"unknown argument {word!r}; write {cls._keys()}, as in: {cls.usage}")
            elif key not in cls.model_fields or key in cls.bare:
                raise ConfigError(f"unknown argument {word!r}; write {cls._keys()}, as in: {cls.usage}")
            given[key] = value
        try:
            return cls.model_validate(given, strict=False)  # every value is text
        except ValidationError as error:
            raise ConfigError(f"{sentence(error, '', cls)}; as in: {cls.usage}") from error

    @classmethod
    def _keys(cls) -> str:
        keys = [key for key in cls.model_fields if key not in cls.bare]
        return " ".join([*cls.bare, f"key=value with the keys {', '.join(keys)}" if keys else ""]).strip()

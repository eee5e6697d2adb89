"""Parts of a config with their types and ranges: each room says what it needs, and is handed that and no more.

    class Sampling(Settings):
        temperature: Annotated[float, Field(ge=0)]
        max_new_tokens: Count

    sampling = Sampling.read(config.rollout, "rollout")

Defaults live in conf/, so fields have none. A value of another type, out of its range, missing or unknown raises a
ConfigError that names the whole key, the value and what would be valid.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Self, get_args

from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from base.errors import ConfigError

Count = Annotated[int, Field(ge=1)]  # of which there must be at least one
Whole = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, le=10**9)]  # what every generator of random numbers takes, with room for sums
Share = Annotated[float, Field(ge=0, le=1)]

BOUNDS = {"ge": "at least {:g}", "gt": "more than {:g}", "le": "at most {:g}", "lt": "less than {:g}"}
KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "int_parsing": "a whole number",
    "float_parsing": "a number",
    "bool_parsing": "true or false",
    "string_type": "text",
    "string_too_short": "text, and not empty",
    "list_type": "a list",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "finite_number": "a finite number",
}
MISSING = "???"  # OmegaConf's mark of a value that is not given
RENAMED = {  # old keys -> new names; using an old one is an error
    "rows": "limit",
    "results": "run_dir",
    "out": "run_dir",
    "temperature": "rollout.temperature",
    "max_new_tokens": "rollout.max_new_tokens",
    "teacher.samples": "teacher.answers",
}


def refuse_renamed(keys: Iterable[str]) -> None:
    """Raises ConfigError for the first key that has another name now."""
    for key in keys:
        if key in RENAMED:
            raise ConfigError(f"{key} is called {RENAMED[key]} now")


class Settings(BaseModel):
    """Base of every typed part of a config."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())

    @classmethod
    def read(cls, config: Any, key: str = "") -> Self:
        """`config` (a DictConfig or a mapping, of the config's part `key`) as these settings. Raises ConfigError."""
        plain = OmegaConf.to_container(config, resolve=True) if isinstance(config, DictConfig) else config
        try:
            return cls.model_validate(plain)
        except ValidationError as error:
            raise ConfigError(sentence(error, key, cls)) from error


class ScriptSettings(Settings):
    """What every primary config holds (conf/script.yaml)."""

    debug: bool


def sentence(error: ValidationError, key: str, settings: type[BaseModel]) -> str:
    """The first of pydantic's errors in the words of this project.

    A validator of the settings themselves raises ValueError with a whole sentence; `{key}` in it is the key's place.
    """
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if not str(part).startswith(("function-", "literal[", "<"))]
    name = ".".join([*([key] if key else []), *place])
    kind, context = first["type"], first.get("ctx", {})
    if kind == "value_error":
        return str(context["error"]).replace("{key}", name)
    if kind == "missing":
        return f"{name} is missing"
    if kind == "extra_forbidden" and name in RENAMED:
        return f"{name} is called {RENAMED[name]} now"
    if kind == "extra_forbidden":
        return f"{name} is unknown; the keys are {', '.join(_fields(settings, place))}"
    if kind == "literal_error":
        return f"{name} is {first['input']!r}; the choices are {context['expected'].replace(' or ', ', ')}"
    field = _fields(settings, place).get(place[-1]) if place else None
    bounds = {
        bound: getattr(constraint, bound)
        for constraint in _constraints(field)
        for bound in BOUNDS
        if hasattr(constraint, bound)
    }
    if BOUNDS.keys() & context.keys():
        bounds |= context
        wanted = " and ".join(words.format(bounds[bound]) for bound, words in BOUNDS.items() if bound in bounds)
    else:
        wanted = KINDS[kind].format(**context) if kind in KINDS else first["msg"]
    return f"{name or 'all of it'} is {first['input']!r}; it must be {wanted}"


def _fields(settings: type[BaseModel], place: list[str]) -> dict[str, FieldInfo]:
    """The fields beside the one at `place`, itself included."""
    for part in place[:-1]:
        field = settings.model_fields.get(part)
        models = _models(field.annotation) if field else []
        if not models:
            return {}
        settings = next((model for model in models if place[-1] in model.model_fields), models[0])
    return settings.model_fields


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The settings that an annotation names, those in a union too."""
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for argument in get_args(annotation) for model in _models(argument)]


def _constraints(field: FieldInfo | None) -> list[Any]:
    """The bounds of a number, also where it may be null."""
    if field is None:
        return []
    inner = [part for argument in get_args(field.annotation) for part in getattr(argument, "__metadata__", ())]
    found = []
    for part in [*field.metadata, *inner]:
        found += part.metadata if isinstance(part, FieldInfo) else [part]
    return found

"""A language is one short YAML file; this module is the schema that reads it. No language has Python of its own.

The keys of the Agnostics paper's own files (section 3.2, figure 4) load unchanged:

    prompt       what the model is told about the language, put before each problem
    filename     the name a program is written to
    execute      the shell line that runs it
    compile      optional: the shell line that compiles it, once for all tests
    install      optional: a shell line that installs the toolchain, or {container-instructions: "RUN ..."}
    container    optional: {base-image: "debian:trixie", type: debian}; where the toolchain lives. A base-image that
                 begins with / or ~ is a prebuilt root, a folder or a tarball: `install` is taken as already done

Beyond the paper, all optional:

    container.debian  {suite: bullseye, install: "apt-get install -y julia"}: how to build the root where no container
                 engine answers; needed where the base image is not Debian's or `install` is more than apt-get
    container.files  {/usr/share/x.conf: "..."}: text files that the root holds besides its packages
    title        the name shown to people and models ("OCaml"); default: the file's name, capitalised
    fence        the Markdown tags of a code block in this language; default: [the file's name]
    limits       any field of `base.limits.Limits`, e.g. {memory_mb: 2048}
    warm         true: tests begin as copies of an interpreter that was started before them (docs/explanation/sandbox.md
                 says which interpreters allow that); default: false

A file is found by name in this folder, or in the folder that the environment variable AGNOSTICS_LANGUAGES names.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hydra.core.config_store import ConfigStore

from base.errors import UserError
from base.limits import Limits, parse_limits

FOLDER = Path(__file__).parent
DEFAULT_BASE_IMAGE = "debian:trixie"


class LanguageError(UserError):
    """A language file that cannot be used. The message is one sentence naming the file, the key and the choices."""


@dataclass(frozen=True)
class Language:
    name: str
    prompt: str
    filename: str
    execute: str
    compile: str | None = None
    install: str | None = None  # a shell line
    container_instructions: str | None = None  # Dockerfile lines, instead of `install`
    base_image: str = DEFAULT_BASE_IMAGE
    debian: dict[str, str] = field(default_factory=dict)  # suite, install: the root without a container engine
    files: dict[str, str] = field(default_factory=dict)  # of the root, besides its packages: path -> text
    title: str = ""
    fence: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    warm: bool = False
    where: str = field(default="", compare=False, repr=False)  # the file, for messages


REQUIRED = ("prompt", "filename", "execute")
KEYS = (*REQUIRED, "compile", "install", "container", "title", "fence", "limits", "warm")
CONTAINER_KEYS = ("base-image", "type", "debian", "files")
DEBIAN_KEYS = ("suite", "install")


def parse(name: str, row: Any, where: str) -> Language:
    """`row` (decoded YAML) as a Language. Raises LanguageError; `where` names the file in its message."""
    if not isinstance(row, dict):
        raise LanguageError(f"{where}: a language file is a mapping with the keys {', '.join(KEYS)}")
    for key in row:
        if key not in KEYS:
            raise LanguageError(f"{where}: unknown key {key!r}; the keys are {', '.join(KEYS)}")
    for key in REQUIRED:
        if key not in row:
            raise LanguageError(f"{where}: key {key!r} is missing; required are {', '.join(REQUIRED)}")
    for key in ("prompt", "filename", "execute", "compile", "title"):
        given = key in REQUIRED or row.get(key) is not None
        if given and (not isinstance(row[key], str) or not row[key].strip()):
            raise LanguageError(f"{where}: key {key!r} must be a string that is not empty, not {row[key]!r}")
    for key, value in row.items():  # PyYAML writes it bare into a run's config, and reads a line end
        if "\x85" in json.dumps(value, ensure_ascii=False, default=str):
            raise LanguageError(f"{where}: key {key!r} holds U+0085, which no stored config gives back; leave it out")
    filename = row["filename"]
    if "/" in filename or filename in (".", ".."):
        raise LanguageError(f"{where}: key 'filename' must be a plain file name, not {filename!r}")

    install: str | None = None
    instructions: str | None = None
    match row.get("install"):
        case None:
            pass
        case str(line):
            install = line.strip() or None
        case {"container-instructions": str(lines), **rest} if not rest:
            instructions = lines
        case other:
            raise LanguageError(
                f"{where}: key 'install' is a shell line or {{container-instructions: ...}}, not {other!r}"
            )

    container = row.get("container") or {}
    if not isinstance(container, dict):
        raise LanguageError(f"{where}: key 'container' must be a mapping, not {container!r}")
    for key in container:
        if key not in CONTAINER_KEYS:
            raise LanguageError(f"{where}: unknown key 'container.{key}'; the keys are {', '.join(CONTAINER_KEYS)}")
    if not isinstance(container.get("base-image", ""), str) or container.get("base-image") == "":
        raise LanguageError(f"{where}: key 'container.base-image' must be an image's name or a path")
    debian = container.get("debian") or {}
    if not isinstance(debian, dict) or not all(
        key in DEBIAN_KEYS and isinstance(value, str) and value for key, value in debian.items()
    ):
        raise LanguageError(
            f"{where}: key 'container.debian' must be a mapping of {' and '.join(DEBIAN_KEYS)} to strings, "
            f"not {debian!r}"
        )
    files = container.get("files") or {}
    if not isinstance(files, dict) or not all(map(_is_file, files.items())):
        raise LanguageError(
            f"{where}: key 'container.files' must be a mapping of absolute paths, not below /tmp, /dev or /proc, "
            f"to text, not {files!r}"
        )
    if container.get("type", "debian") != "debian":
        raise LanguageError(f"{where}: key 'container.type' must be debian, not {container['type']!r}")

    fence = row.get("fence", [name])
    fence = [fence] if isinstance(fence, str) else fence
    if not isinstance(fence, list) or not fence or not all(isinstance(tag, str) and tag for tag in fence):
        raise LanguageError(f"{where}: key 'fence' must be a list of code block tags, not {fence!r}")

    if not isinstance(row.get("warm", False), bool):
        raise LanguageError(f"{where}: key 'warm' is true or false, not {row['warm']!r}")

    return Language(
        name=name,
        prompt=row["prompt"].strip(),
        filename=filename,
        execute=row["execute"].strip(),
        compile=(row.get("compile") or "").strip() or None,
        install=install,
        container_instructions=instructions,
        base_image=container.get("base-image", DEFAULT_BASE_IMAGE),
        debian=dict(debian),
        files=dict(files),
        title=row.get("title") or name.capitalize(),
        fence=tuple(tag.lower() for tag in fence),
        limits=_limits(row.get("limits") or {}, where),
        warm=row.get("warm", False),
        where=where,
    )


def _is_file(item: tuple[Any, Any]) -> bool:
    path, text = item
    normal = isinstance(path, str) and path.startswith("/") and os.path.normpath(path) == path != "/"
    return normal and not path.startswith(("/tmp/", "/dev/", "/proc/")) and isinstance(text, str)


def _limits(row: Any, where: str) -> Limits:
    try:
        return parse_limits(row)
    except ValueError as error:
        raise LanguageError(f"{where}: {error}") from error


def folders() -> list[Path]:
    """Where language files are looked for, the user's own folder first."""
    private = os.environ.get("AGNOSTICS_LANGUAGES")
    return ([Path(private).expanduser()] if private else []) + [FOLDER]


def names() -> list[str]:
    """Every language there is, sorted."""
    return sorted({path.stem for folder in folders() for path in folder.glob("*.yaml")})


def load(name: str) -> Language:
    """The language of `<name>.yaml`. Raises LanguageError for an unknown name or a file that cannot be read."""
    path = _find(name)
    if path is None:
        places = " or ".join(f"{folder}{'' if folder.is_dir() else ' (no folder)'}" for folder in folders())
        raise LanguageError(f"unknown language {name!r}: no {name}.yaml in {places}; there are {', '.join(names())}")
    try:
        row = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LanguageError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    return parse(name, row, str(path))


def of_run(language: Mapping[str, Any], mix: Any = None) -> list[Language]:
    """The languages of a run, by its config's keys `language` and `language_mix`: the mix, if there is one.

    Raises LanguageError.
    """
    if mix is None:
        return [from_config(language)]
    if not isinstance(mix, list) or not mix or len(set(mix)) < len(mix):
        raise LanguageError(f"language_mix is a list of different languages, e.g. [lua,python], not {mix!r}")
    return [load(str(name)) for name in mix]


def _find(name: str) -> Path | None:
    return next((path for folder in folders() if (path := folder / f"{name}.yaml").is_file()), None)


def register() -> None:
    """Makes `language=NAME` and overrides such as `language.limits.test_s=10` work in Hydra, for every language.

    A file that is wrong is registered with what is wrong, so that it fails when it is chosen and not before.
    """
    store = ConfigStore.instance()
    # Hydra copies the store, with every language, whenever it looks at a group: for --help a hundred times, 5 seconds.
    vars(store)["__deepcopy__"] = lambda _memo: store
    for name in names():
        try:
            node = to_config(load(name))
        except LanguageError as error:
            node = {"name": name, "broken": _escaped(str(error))}
        store.store(group="language", name=name, node=node)


def to_config(language: Language) -> dict[str, Any]:
    """The language with every key written out, as a plain mapping for Hydra; `from_config` is the way back."""
    install: Any = language.install
    if language.container_instructions is not None:
        install = {"container-instructions": language.container_instructions}
    node = {
        "name": language.name,
        "title": language.title,
        "prompt": language.prompt,
        "filename": language.filename,
        "compile": language.compile,
        "execute": language.execute,
        "install": install,
        "container": {
            "base-image": language.base_image,
            "type": "debian",
            "debian": language.debian or None,
            "files": language.files or None,
        },
        "fence": list(language.fence),
        "limits": asdict(language.limits),
        "warm": language.warm,
    }
    return _escaped(node)


def _escaped(value: Any) -> Any:
    """A `${` in a language file is the language's own, not an interpolation of OmegaConf's: it is written `$\\{`.

    OmegaConf's own escape would last for one reading only, and a run's config is read again by every rank. `_plain` is
    the way back; a `$\\{` of the language's own gets one backslash more.
    """
    return _each_text(value, lambda text: re.sub(r"\$(\\*)\{", r"$\\\1{", text))


def _plain(value: Any) -> Any:
    return _each_text(value, lambda text: re.sub(r"\$\\(\\*)\{", r"$\1{", text))


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _each_text(item, change) for key, item in value.items()}
    return [_each_text(item, change) for item in value] if isinstance(value, list) else value


def from_config(config: Mapping[str, Any]) -> Language:
    """The language of the config group `language`, overrides included. Raises LanguageError."""
    row = _plain(dict(config))
    if "broken" in row:
        raise LanguageError(str(row["broken"]))
    name = str(row.pop("name"))
    return parse(name, row, str(_find(name) or f"language={name}"))

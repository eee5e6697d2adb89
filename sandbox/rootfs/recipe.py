"""The ways to make a language's root file system, as data: what is in it, and where in the cache it lies."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import languages
from base.files import cache_folder
from sandbox.job import SandboxError
from sandbox.rootfs import debian, engine

FORMAT = 2  # part of the hash: raise it when the same recipe must give different files


class RootfsError(SandboxError):
    """A root that cannot be had: which language file, what failed, what to do."""


@dataclass(frozen=True)
class Recipe:
    """One way to make a language's root. `key` holds everything that determines its files."""

    language: str
    kind: str  # engine | debian | tarball
    source: str
    key: dict[str, Any] = field(compare=False)

    @property
    def folder(self) -> Path:
        text = json.dumps({"format": FORMAT, "kind": self.kind, **self.key}, sort_keys=True)
        return cache() / f"{self.language}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def cache() -> Path:
    """The folder that holds the roots of this machine."""
    return cache_folder("rootfs")


def is_path(base_image: str) -> bool:
    """Whether a language's base image is a prebuilt root."""
    return base_image.startswith(("/", "~"))


def recipes_of(language: languages.Language) -> tuple[list[Recipe], str]:
    """The ways to make a language's root, best first; and why mmdebstrap is not among them, if it is not."""
    base = language.base_image
    files = {"files": language.files} if language.files else {}
    if is_path(base):
        path = Path(base).expanduser().absolute()
        if not path.is_file():
            raise RootfsError(f"{language.where}: container.base-image: there is no root file system at {path}")
        status = path.stat()
        key = {"path": str(path.resolve()), "size": status.st_size, "changed": status.st_mtime_ns, **files}
        return [Recipe(language.name, "tarball", str(path), key)], ""

    text = engine.dockerfile(base, language.install, language.container_instructions)
    recipes = [Recipe(language.name, "engine", f"image {base}", {"dockerfile": text, **files})]
    suite = language.debian.get("suite") or debian.suite_of(base)
    if suite is None:
        return recipes, f"its base image {base} is not Debian's"
    if language.container_instructions is not None and "install" not in language.debian:
        return recipes, "its container-instructions are a Dockerfile's"
    line = language.debian.get("install", language.install)
    try:
        packages = debian.parse_install(line)
    except ValueError as error:
        return recipes, f"of its install line {line!r}, {error}"
    key = {"suite": suite, "packages": packages.names, "recommends": packages.recommends, **files}
    source = f"debian {suite}: {' '.join(packages.names) or 'no packages'}"
    return [*recipes, Recipe(language.name, "debian", source, key)], ""

"""The command: builds roots, lists and removes them, packs one for a machine that cannot build it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

import languages
from base.command_line import Command, Names
from base.errors import ConfigError, UserError
from sandbox import rootfs
from sandbox.rootfs import Rootfs, RootfsError

USAGE = (
    "usage: python -m sandbox.rootfs language=NAME[,NAME...] | language=all | list | prune | "
    "pack language=NAME out=FILE.tar.gz | import FILE_OR_ADDRESS ..."
)


class Build(Command):
    usage: ClassVar[str] = "python -m sandbox.rootfs language=lua,ocaml"

    language: Names


class Pack(Command):
    usage: ClassVar[str] = "python -m sandbox.rootfs pack language=lua out=lua.tar.gz"

    language: str
    out: Path


def show() -> None:
    """The roots of the cache as a table."""
    names = ("root", "source", "size", "built", "state")
    table = Table(*(Column(name, no_wrap=name != "source") for name in names), box=SIMPLE_HEAD)
    used, found = rootfs.in_use(), rootfs.cached()
    for folder, about in found:
        table.add_row(
            folder.name,
            about["source"],
            f"{about['size_mb']:.0f} MB",
            about["built"][:10],
            "in use" if folder.name in used else "stale",
        )
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    print(rootfs.together([folder / "root" for folder, _ in found]))
    print(f"each in {rootfs.cache()}/ROOT/root")


def build(names: list[str]) -> int:
    outcomes = rootfs.build(names)
    for outcome in outcomes.values():
        print(outcome, file=sys.stderr) if isinstance(outcome, RootfsError) else print(outcome.path)
    built = [outcome.path for outcome in outcomes.values() if isinstance(outcome, Rootfs)]
    if len(built) > 1:
        print(rootfs.together(built), file=sys.stderr)
    return 0 if len(built) == len(outcomes) else 1


def main(words: list[str]) -> int:
    """Exit status 0: all was done; 1: a root could not be had; 2: bad usage, or no room on the disk."""
    bad = 2
    try:
        match words:
            case ["list"]:
                show()
            case ["prune"]:
                print(f"freed {rootfs.prune():.0f} MB")
            case ["pack", *rest]:
                chosen = Pack.parse(rest)
                bad = 1
                rootfs.pack_root(chosen.language, chosen.out)
                print(chosen.out)
            case ["import", *places] if places:
                bad = 1
                for place in places:
                    print(rootfs.import_packed(place).path)
            case [word] if word.startswith("language="):
                names = list(dict.fromkeys(name for name in Build.parse(words).language if name))
                return build(languages.names() if names == ["all"] else names)
            case _:
                raise ConfigError(f"{USAGE}\nlanguages: {', '.join(languages.names())}")
    except UserError as error:
        print(error, file=sys.stderr)
        return bad
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)

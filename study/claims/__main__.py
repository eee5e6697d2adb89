"""python -m study.claims: runs what is missing of a study, then says what it shows."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import ClassVar

from base import script
from base.command_line import Command, Names
from base.errors import ConfigError, RunError
from base.files import write_text
from base.lock import locked
from base.settings import Count
from study.claims import __doc__ as about
from study.claims.page import page
from study.claims.parts import ROOT, Parts, chosen
from study.claims.plan import Plan
from study.claims.results import results


class Arguments(Command):
    usage: ClassVar[str] = "python -m study.claims folder=runs/claims"

    folder: str = "runs/claims"
    plan: str = "study/claims/claims.yaml"
    parts: Names = ()  # none: all of the plan
    at_once: Count | None = None  # parts that run side by side; None: one per core, at most four


def main(words: list[str]) -> None:
    if words and words[0] in ("-h", "--help"):
        print(about)
        return
    arguments = Arguments.parse(words)
    folder = Path(arguments.folder).expanduser()
    if not all(character.isalnum() or character in "/._-" for character in str(folder.resolve())):
        raise ConfigError(
            f"folder={folder}: its path may have letters, digits and /._- only, as it becomes part of words"
        )
    path = Path(arguments.plan).expanduser()
    whole = Plan.load(path if path.exists() else ROOT / path)
    plan = chosen(whole, arguments.parts) if arguments.parts else whole
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        failed = Parts(plan, folder, arguments.at_once or min(4, len(os.sched_getaffinity(0)))).run()
        found = results(Parts(whole, folder, 1))
        write_text(folder / "claims.json", json.dumps(found, indent=1))
        write_text(folder / "claims.md", page(found))
    print(page(found), end="")
    if failed:
        name, why = next(iter(failed.items()))
        more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
        raise RunError(f"{name} is not finished: {why}{more}")


if __name__ == "__main__":
    with script.one_sentence("interrupted"):
        main(sys.argv[1:])

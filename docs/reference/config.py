"""Writes docs/reference/config.md: every file of conf/ with its comments, so that the page cannot drift from the keys.

python docs/reference/config.py > docs/reference/config.md
"""

from __future__ import annotations

import sys
from pathlib import Path

CONF = Path(__file__).parents[2] / "conf"
SCRIPTS = {
    "train": "python train.py",
    "evaluate": "python evaluate.py",
    "reformulate": "python reformulate.py",
    "prepare": "python -m problems.prepare",
    "bugs": "python -m study.bugs",
    "advise": "python -m study.advise",
    "chat": "python -m study.chat",
}
HEAD = """# Config keys

Written by `python docs/reference/config.py > docs/reference/config.md` from the files in `conf/`. To change this page,
change the comments there.

Every key can be set on the command line, nested ones with dots: `python train.py steps=50 loss.kl=0.01`. `GROUP=OPTION`
takes a whole file of `conf/GROUP/`: `python train.py model=smollm2_135m`. A script's `defaults` name its groups and the
option that each begins with. `--help` prints all keys of a script with the values that the command line gives them;
`--cfg job --resolve` prints the resolved configuration alone. The keys of `language=`, a file of `languages/`, are in
[add-a-language.md](../tutorials/add-a-language.md).
"""


def section(heading: str, path: Path) -> str:
    """A file under a heading, without Hydra's own settings."""
    text = path.read_text().removeprefix("# @package _global_\n").partition("\nhydra:\n")[0]
    return f"{heading}\n\n```yaml\n{text.strip()}\n```\n"


def page() -> str:
    every = section("## Every script", CONF / "script.yaml")
    parts = [HEAD, every, *(section(f"## `{command}`", CONF / f"{name}.yaml") for name, command in SCRIPTS.items())]
    for folder in sorted(path for path in CONF.iterdir() if path.is_dir() and path.name != "hydra"):
        parts.append(f"## `{folder.name}=`\n")
        parts += [section(f"### `{folder.name}={path.stem}`", path) for path in sorted(folder.glob("*.yaml"))]
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())

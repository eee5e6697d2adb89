"""GPUs that cannot be used, or are not: one sentence each, and nothing falls to the CPU in silence."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from transformers import Qwen3Config

import evaluate
import train
from base.errors import ConfigError
from policy.samplers import choose
from run import gpus
from tests.conftest import composed, run
from training.settings import TrainSettings

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")


@pytest.mark.parametrize(("script", "main"), [("train", train.main), ("evaluate", evaluate.run)])
def test_gpus_that_this_torch_cannot_use_are_a_sentence(
    script: str, main: Callable[[DictConfig], object], four_gpus: None, tmp_path: Path
) -> None:
    words = "^this torch is a build for CPUs, and the machine has GPUs; `make setup` installs"
    with pytest.raises(ConfigError, match=words):
        main(composed(f"run_dir={tmp_path}/run", script=script))
    assert not list(tmp_path.glob("run/**/*.jsonl"))


def test_what_the_driver_says_is_passed_on(four_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build for CUDA that cannot begin, whatever for: a driver that is too old says so in these words' place."""
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(
        ConfigError, match=r"^the GPUs cannot be used by torch .* \(Torch not compiled with CUDA.*update"
    ):
        gpus.check_driver()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    gpus.check_driver()


def test_a_gpu_that_does_not_tell_is_not_idle(four_gpus: None, tmp_path: Path) -> None:
    driver = tmp_path / "nvidia-smi"
    driver.write_text(driver.read_text().replace("0, GPU-0000-test, 4,", "0, GPU-0000-test, [N/A],"))
    assert list(gpus.visible().values()) == [False, True, False, True]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["rollout=vllm"], "2 more GPUs: gpus=3 shard=true"),
        (["rollout=vllm", "optimizer=adamw8bit"], "2 more GPUs: gpus=3"),
        (["rollout=vllm", "lora.rank=8", "lora.quantize=nf4"], "2 more GPUs: gpus=3"),
        (["rollout=transformers", "gpus=2"], "1 more GPU: gpus=3"),
        (["rollout=vllm", "gpus=3"], ""),
    ],
)
def test_idle_gpus_are_pointed_at(four_gpus: None, overrides: list[str], words: str) -> None:
    config = composed(*overrides)
    assert gpus.hint(config) == words
    TrainSettings.read(composed(*overrides, *words.partition(": ")[2].split()))


def test_without_gpus_there_is_no_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert gpus.hint(composed("rollout=vllm")) == ""


def test_without_a_hub_it_says_what_it_needs(tmp_path: Path) -> None:
    """The command of the README, on a machine that has neither GPU nor hub: within seconds."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    began = time.monotonic()
    done = run("language=ocaml", "model=qwen3_4b", f"run_dir={tmp_path}/run", env=offline)
    assert time.monotonic() - began < 60
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "error: model.path: 'Qwen/Qwen3-4B' is no folder and not in the hub's cache, and no hub" in done.stderr
    assert "rollout=auto: transformers, as no GPU is here" in done.stdout
    assert not (tmp_path / "run").exists()


def test_without_a_gpu_a_large_model_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    """Its configuration is enough: there are no weights in this folder."""
    Qwen3Config(hidden_size=8192, intermediate_size=65536, num_hidden_layers=96).save_pretrained(tmp_path / "model")
    words = "^model=qwen3_4b wants a GPU, and none is here: weights, moments and gradients alone"
    with pytest.raises(ConfigError, match=words):
        train.main(
            composed("language=ocaml", "model=qwen3_4b", f"model.path={tmp_path}/model", f"run_dir={tmp_path}/run")
        )
    assert not (tmp_path / "run").exists()


def test_auto_takes_vllm_on_a_gpu_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    config = composed("model=qwen3_4b", resolved=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose(config) == "rollout=auto: vllm, as a GPU is here"
    assert config.rollout.engine == "vllm"
    assert config.rollout.gpu_memory_utilization is None, "train.py sets it by what the trainer needs"

"""Exports, read again: what a GGUF says is what the checkpoint computes; what cannot be exported says why."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gguf
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

import languages
from base.errors import ConfigError, ModelError, RunError
from policy import lora
from policy.model import Policy
from policy.samplers.generate import TransformersSampler
from policy.samplers.sampler import Sampling
from problems import load
from rollout import heldout
from rollout.draw import LocalModel
from rollout.rollout import RolloutWorker
from sandbox import open_pool
from study import export
from tests.conftest import ROOT, SMALL, composed
from tests.conftest import run as run_script
from tests.toy_policy import save_toy


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder whose newest checkpoint is the toy model."""
    folder = tmp_path_factory.mktemp("export") / "run"
    checkpoint = folder / "checkpoints/step_000001"
    save_toy(checkpoint)
    tokenizer = json.loads((checkpoint / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["ab"] = 258  # the toy merges nothing, and GGUF's readers want merges
    tokenizer["model"]["merges"] = [["a", "b"]]
    (checkpoint / "tokenizer.json").write_text(json.dumps(tokenizer))
    (checkpoint / "trainer").mkdir()
    (checkpoint / "trainer/trainer.json").write_text("{}")
    config = yaml.safe_load((ROOT / "notebooks/data/runs/lua_seed0/config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({"model": config["model"]}))
    return folder


def arguments(run: Path, kind: str, out: Path) -> export.Arguments:
    return export.Arguments.parse([f"checkpoint={run}", f"format={kind}", f"out={out}"])


def test_merged_and_gguf(run: Path, tmp_path: Path) -> None:
    said = export.export(arguments(run, "merged", tmp_path / "merged"))
    assert "nats per token" in said
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype="auto").dtype == torch.bfloat16
    assert (tmp_path / "merged/chat_template.jinja").exists()
    said = export.export(arguments(run, "gguf", tmp_path / "gguf"))
    assert "llama.cpp has no name" in said  # for how the toy's tokenizer splits
    read = gguf.GGUFReader(tmp_path / "gguf/model.gguf")
    assert read.fields["qwen3.attention.key_length"].contents() == 32
    assert read.fields["tokenizer.ggml.eos_token_id"].contents() == 1
    assert "messages" in str(read.fields["tokenizer.chat_template"].contents())
    assert {"token_embd.weight", "blk.1.attn_q_norm.weight"} <= {tensor.name for tensor in read.tensors}
    assert "FROM ./model.gguf" in (tmp_path / "gguf/Modelfile").read_text()
    with pytest.raises(ConfigError, match="is not empty"):
        export.export(arguments(run, "gguf", tmp_path / "gguf"))


@pytest.mark.slow
def test_every_export_of_a_lora_run_scores_as_its_checkpoint(tmp_path: Path) -> None:
    """Held-out pass@1 of the files, read again, within 2 points of the checkpoint's; log-probs within the bound."""
    lora_run = tmp_path / "lora"
    rate = ("lora.rank=8", "optimizer.learning_rate=3e-3", "optimizer.warmup=0")
    done = run_script(*SMALL, *rate, "heldout.every=0", "steps=3", f"run_dir={lora_run}")
    assert done.returncode == 0, done.stderr
    checkpoint = lora_run / "checkpoints/step_000003"
    policy = Policy.load(export.model_config(checkpoint), checkpoint)
    held = load.load(load.dataset(composed().dataset), "heldout", quiet=True)
    lua = languages.load("lua")
    with open_pool([lua], workers=2) as pool:

        def score(model: Any) -> float:
            scored = replace(policy, model=model)
            worker = RolloutWorker(LocalModel(scored, TransformersSampler(scored, 80)), pool)
            share = heldout.evaluate(worker, held, [lua], 4, Sampling(0.2, 64), 0)[1]["heldout/pass@1"]
            assert share is not None
            return share

        before = score(policy.model)
        assert before > 0.1
        for kind, bound in (("merged", export.BOUND), ("gguf", export.BOUND), ("adapter", 1e-5)):
            said = export.export(arguments(lora_run, kind, tmp_path / kind))
            gap = re.search(r"within ([\d.]+) nats", said)
            assert gap is not None and float(gap[1]) <= bound, said
            assert abs(score(export.reopened(policy, tmp_path / kind, kind)) - before) <= 0.02, kind


def test_an_export_that_computes_otherwise_fails(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(policy: Any) -> Any:
        model = policy.model.to(torch.bfloat16)
        other = AutoModelForCausalLM.from_config(model.config).to(torch.bfloat16)  # other weights
        other.generation_config = model.generation_config
        policy.model.float()
        return other

    monkeypatch.setattr(export, "merged", broken)
    with pytest.raises(ModelError, match="log-probs differ"):
        export.export(arguments(run, "merged", tmp_path / "broken"))
    assert not list(tmp_path.iterdir()), "the same command would be refused"


def test_an_adapter_of_an_older_checkpoint_leaves_its_optimizer_here(tmp_path: Path) -> None:
    (checkpoint := tmp_path / "checkpoint").mkdir()
    for name in (lora.FILE, "adapter_model.safetensors", "optimizer.safetensors", "trainer.json"):
        (checkpoint / name).write_text("{}")
    (out := tmp_path / "out").mkdir()
    policy: Any = SimpleNamespace(source="me/base")
    export.adapter(policy, checkpoint, out)
    assert {path.name for path in out.iterdir()} == {lora.FILE, "adapter_model.safetensors"}


def test_a_modelfile_holds_texts_as_they_are() -> None:
    policy: Any = SimpleNamespace(eos=[0], tokenizer=SimpleNamespace(convert_ids_to_tokens=lambda end: "<|é|>"))
    config: Any = SimpleNamespace(temperature=0.7, system='Say "so".\nBriefly.')
    text = export.modelfile(policy, config)
    assert 'PARAMETER stop "<|é|>"\n' in text and 'SYSTEM """Say "so".\nBriefly."""\n' in text


def test_queries_and_keys_of_llama(tmp_path: Path) -> None:
    """llama.cpp keeps them in another order; transformers' reader puts them back."""
    torch.manual_seed(0)
    rows = torch.arange(16.0)[:, None]
    assert export.interleaved(rows, 2)[:8, 0].tolist() == [0, 4, 1, 5, 2, 6, 3, 7]
    config = LlamaConfig(
        hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=2, vocab_size=300
    )
    export.check(LlamaForCausalLM(config))


def test_what_cannot_be_exported_says_why(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no adapters"):
        export.export(arguments(run, "adapter", tmp_path / "adapter"))
    with pytest.raises(RunError, match="neither a checkpoint nor a run"):
        export.export(arguments(tmp_path, "gguf", tmp_path / "x"))
    for config, why in (
        ({"model_type": "gpt2"}, "model type 'gpt2'"),
        ({"model_type": "qwen2", "rope_parameters": {"rope_type": "yarn"}}, "positions scaled by 'yarn'"),
        ({"model_type": "qwen2", "rope_parameters": None, "use_sliding_window": True}, "a sliding window"),
    ):
        model: Any = SimpleNamespace(config=SimpleNamespace(**config))
        with pytest.raises(ModelError, match=why):
            export.check(model)

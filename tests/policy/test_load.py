"""What a model brings with it: ends, chat template, vocabulary, dtype, adapters; and what is refused at load."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, GenerationConfig, Qwen3Config

from base.errors import ConfigError, ModelError
from policy import pretrained
from policy.lora import LoraSettings
from policy.model import Policy
from policy.samplers.generate import TransformersSampler
from policy.samplers.sampler import Completion, Sampling
from policy.settings import ModelSettings
from tests.conftest import ROOT
from tests.policy.families import build
from tests.policy.test_families import MASK, PROMPT, TOKENS, assert_exact
from tests.toy_policy import toy_model
from training.supervised import end_token

FULL = LoraSettings(rank=0, alpha=8, targets="all-linear")


@pytest.fixture
def changed(toy_folder: Path, tmp_path: Path, model_config: ModelSettings) -> Any:
    """The toy model after changes to its JSON files: changed(file, key=value or None to remove)."""
    folder = tmp_path / "model"
    shutil.copytree(toy_folder, folder)

    def change(file: str, **values: object) -> ModelSettings:
        path = folder / file
        settings = {**json.loads(path.read_text()), **values}
        path.write_text(json.dumps({key: value for key, value in settings.items() if value is not None}))
        return model_config.model_copy(update={"path": str(folder)})

    return change


def test_ends_are_those_of_the_generation_config_and_the_tokenizer_together(changed: Any) -> None:
    assert Policy.load(changed("generation_config.json", eos_token_id=[7, 9])).eos == [7, 9, 1]
    assert Policy.load(changed("generation_config.json", eos_token_id=1)).eos == [1]
    assert Policy.load(changed("tokenizer_config.json", eos_token=None)).eos == [1]
    assert Policy.load(changed("generation_config.json", eos_token_id=7), weights=False).eos == [7]


def test_generate_ends_at_each_of_them(changed: Any) -> None:
    policy = Policy.load(changed("generation_config.json", eos_token_id=list(range(150, 300))))
    seen: list[Completion] = []
    TransformersSampler(policy, 8).sample([[40, 50]], 8, Sampling(1.0, 40), 0, lambda _, c: seen.append(c))
    assert any(c.finished for c in seen)
    assert all(c.finished == (c.tokens[-1] >= 150 or c.tokens[-1] == 1) for c in seen)
    assert all(1 < token < 150 or token == 0 for c in seen for token in c.tokens[:-1])


def test_an_answer_to_learn_from_ends_as_the_template_ends_a_turn(changed: Any) -> None:
    policy = Policy.load(changed("generation_config.json", eos_token_id=[1, 40]))
    assert end_token(policy) == 1  # the template puts no end behind an answer
    turn = policy.tokenizer.convert_ids_to_tokens(40)
    policy.tokenizer.chat_template = f"{{% for m in messages %}}{{{{ m.content }}}}{turn}{{% endfor %}}<eos>"
    assert end_token(policy) == 40  # Phi 4 mini's way: the turn's own end, and behind all turns the text's


def test_a_gpu_is_named_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers puts weights there from threads of its own, whose current device is the first."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    assert pretrained.device() == torch.device("cuda", 3)


def test_no_end_is_refused(changed: Any) -> None:
    changed("generation_config.json", eos_token_id=None)
    changed("config.json", eos_token_id=None)
    with pytest.raises(ModelError, match=r"has no end token.*set eos_token_id in its generation_config\.json"):
        Policy.load(changed("tokenizer_config.json", eos_token=None))


def test_no_chat_template_is_refused_where_it_is_needed(changed: Any) -> None:
    config = changed("tokenizer_config.json", chat_template=None)
    (Path(config.path) / "chat_template.jinja").unlink(missing_ok=True)
    with pytest.raises(ModelError, match="has no chat template"):
        Policy.load(config, adapters=FULL)
    policy = Policy.load(config)  # a base model can still continue texts
    with pytest.raises(ModelError, match="has no chat template"):
        policy.template([{"role": "user", "content": "x"}])


def test_a_template_that_refuses_the_chat_is_one_sentence(policy: Policy) -> None:
    policy.tokenizer.chat_template = "{{ raise_exception('System role not supported') }}"
    with pytest.raises(ModelError, match=r"refuses a chat .System role not supported"):
        policy.template([{"role": "system", "content": "x"}])


def test_weights_that_are_quantized_already_are_not_trained(changed: Any) -> None:
    config = changed("config.json", quantization_config={"quant_method": "awq", "bits": 4})
    with pytest.raises(ModelError, match=r"quantized already \(awq\) and can be evaluated but not trained"):
        Policy.load(config, adapters=FULL)
    assert Policy.load(config, weights=False).outline  # vLLM reads them


def test_a_checkpoint_written_while_the_model_samples_keeps_its_ends(policy: Policy, tmp_path: Path) -> None:
    policy.model.generation_config = GenerationConfig()  # as generate has it meanwhile
    policy.save(tmp_path)
    assert json.loads((tmp_path / "generation_config.json").read_text())["eos_token_id"] == 1


def test_a_pad_that_the_model_does_not_know_is_none(policy: Policy) -> None:
    assert policy.pad == policy.tokenizer.pad_token_id == 0
    policy.tokenizer.add_tokens([f"<{number}>" for number in range(policy.vocabulary - len(policy.tokenizer))])
    policy.tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    assert policy.tokenizer.pad_token_id == policy.vocabulary and policy.pad == policy.eos[0]


def test_what_is_no_causal_language_model_is_one_sentence_before_anything_is_loaded(tmp_path: Path) -> None:
    for kind in ("t5", "qwen2_5_vl"):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
        with pytest.raises(ModelError, match=r"^model\.path: cannot load .* \(Unrecognized configuration class"):
            pretrained.outlined(str(tmp_path))


def test_dtypes(model_config: ModelSettings) -> None:
    for value in ("float64", "float8", "int8", "half", "nn", "auto"):
        with pytest.raises(ConfigError, match=rf"model.compute_dtype is '{value}'; the choices are float32, bfloat16"):
            Policy.load(model_config.model_copy(update={"compute_dtype": value}))
    half = model_config.model_copy(update={"compute_dtype": "float16"})
    with pytest.raises(ConfigError, match=r"model.compute_dtype is 'float16'; the choices are float32, bfloat16$"):
        Policy.load(half, adapters=FULL)
    Policy.load(half)  # evaluation needs no gradients
    short = Policy.load(model_config.model_copy(update={"compute_dtype": "bfloat16"}), adapters=FULL)
    assert short.shares_prompt(20) and short.self_check([PROMPT] * 3, TOKENS, MASK, 0.7).mean < 0.1
    logp, _ = short.logprobs(PROMPT, TOKENS, MASK, 0.7)  # [rows, tokens]
    logp.sum().backward()
    for p in short.trainable():
        assert p.grad is not None and p.grad.dtype == p.dtype == torch.float32 and p.grad.isfinite().all()


def test_adapters_over_short_weights_share_prompts_too(model_config: ModelSettings) -> None:
    """The frozen weights are bf16 and the adapters fp32: the probe wants the autocast under which they train."""
    settings = LoraSettings(rank=4, alpha=8, targets="all-linear")
    short = Policy.load(model_config.model_copy(update={"compute_dtype": "bfloat16"}), adapters=settings)
    assert {p.dtype for p in short.model.parameters()} == {torch.bfloat16, torch.float32}
    assert short.shares_prompt(20) and short.self_check([PROMPT] * 3, TOKENS, MASK, 0.7).mean < 0.1


def test_ids_beyond_the_tokenizer_read_as_nothing(policy: Policy, model_config: Any, capsys: Any) -> None:
    """The toy has 300 entries and a tokenizer of 258, as models padded to a round number have."""
    assert policy.vocabulary == 300 and len(policy.tokenizer) == 258
    text = policy.tokenizer.decode([60, 61])
    assert policy.decode([60, 299, 61, 258]) == policy.decode([60, 299, 61], special=True) == text
    seen: list[Completion] = []
    TransformersSampler(policy, 16).sample([[40]], 16, Sampling(2.0, 20), 0, lambda _, c: seen.append(c))
    assert any(token >= 258 for c in seen for token in c.tokens)
    Policy.load(model_config, adapters=FULL)
    assert "the vocabulary has 42 entries that the tokenizer has no text for" in capsys.readouterr().err


def test_a_tokenizer_of_another_model_is_refused(policy: Policy) -> None:
    policy.tokenizer.add_tokens([f"<extra{n}>" for n in range(50)])
    with pytest.raises(ModelError, match=r"makes token 307, and the model knows 300 only"):
        policy.encode("a<extra49>")


@pytest.mark.parametrize("targets", [["q_proj", "wrong"], ["wrong"], ".*wrong"], ids=str)
def test_targets_that_are_not_there(model_config: ModelSettings, targets: Any) -> None:
    adapters = LoraSettings(rank=4, alpha=8, targets=targets)
    with pytest.raises(ConfigError, match=r"lora.targets is .*no module \S*wrong; .* are q_proj, k_proj, .*all-linear"):
        Policy.load(model_config, adapters=adapters)


@pytest.mark.parametrize("targets", [["lm_head"], ["embed_tokens", "q_proj"], ".*(q_proj|lm_head)"], ids=str)
def test_adapters_of_half_of_a_tied_matrix_are_refused(model_config: ModelSettings, targets: Any) -> None:
    adapters = LoraSettings(rank=4, alpha=8, targets=targets)
    with pytest.raises(ConfigError, match="embedding and head are one matrix"):
        Policy.load(model_config, adapters=adapters)


def test_an_adapter_of_the_head_is_scored_and_trained() -> None:
    from policy import lora

    adapters: Any = OmegaConf.create({"rank": 4, "alpha": 8, "targets": ["lm_head", "q_proj"]})
    model: Any = lora.attach(build("phi", tie_word_embeddings=False), adapters).double()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    policy = Policy(model, None, toy_model(None), "random")
    assert_exact(policy)
    assert policy.shares_prompt(20)
    model.lm_head.lora_B["default"].weight.grad = None
    policy.logprobs(PROMPT, TOKENS, MASK, 1.0)[0].sum().backward()
    assert model.lm_head.lora_B["default"].weight.grad.abs().max() > 0
    with model.disable_adapter():
        own = model(torch.tensor([PROMPT])).logits[0, -1].log_softmax(-1)  # [vocabulary]
    reference = policy.reference_logprobs(PROMPT, TOKENS, MASK, 1.0)  # [rows, tokens]
    torch.testing.assert_close(reference[:, 0], own[TOKENS[:, 0]])


@pytest.mark.parametrize(
    "kind", ["qwen3", "qwen3_moe", "mixtral", "qwen3_next", "gpt_oss", "granitemoe", "deepseek_v3"]
)
def test_weights_have_the_names_of_a_checkpoint(kind: str, tmp_path: Path, toy_folder: Path) -> None:
    """What vLLM is given; transformers itself holds the experts of a layer as one tensor."""
    for file in toy_folder.glob("*token*"):
        shutil.copy(file, tmp_path)
    build(kind).float().save_pretrained(tmp_path)
    weights = dict(Policy.load(toy_model(tmp_path)).weights())
    saved = {name: value for file in tmp_path.glob("*.safetensors") for name, value in load_file(file).items()}
    assert set(weights) == set(saved)
    assert all(torch.equal(weights[name], value) for name, value in saved.items())


@pytest.mark.parametrize(
    ("build", "why"), [("nowhere", "cannot import 'nowhere'"), ("this", "has no function 'ensure'")]
)
def test_a_module_that_makes_no_model_is_one_sentence(build: str, why: str, model_config: ModelSettings) -> None:
    with pytest.raises(ConfigError, match=rf"model\.build: .*{why}"):
        pretrained.folder(model_config.model_copy(update={"path": None, "build": build}))


def test_no_hub_is_one_sentence() -> None:
    """In a process of its own, where the hub's libraries have been told nothing yet."""
    script = (
        "from policy.model import Policy; from tests.toy_policy import toy_model\nPolicy.load(toy_model('some/model'))"
    )
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (
        "ModelError: model.path: 'some/model' is no folder and not in the hub's cache, and no hub answers"
        in done.stderr
    )
    assert "Retrying" not in done.stderr and "retry" not in done.stderr


LOAD = """
import re, sys
from pathlib import Path
from policy.model import Policy
from tests.toy_policy import toy_model
def memory(key):
    return int(re.search(key + r":\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
def load(path):
    return Policy.load(toy_model(path))
load(sys.argv[1])  # what a first load imports
before = memory("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
policy = load(sys.argv[2])
weights = sum(parameter.numel() * 4 for parameter in policy.model.parameters())
print("LOADED", weights, memory("VmHWM") - before)
"""


def test_weights_are_loaded_once(toy_folder: Path, tmp_path: Path) -> None:
    """Beside the weights only the mapped pages of their file, which all ranks of a machine share: no second copy."""
    folder = tmp_path / "model"
    shutil.copytree(toy_folder, folder)
    config = Qwen3Config(
        vocab_size=8000, hidden_size=768, intermediate_size=3072, num_hidden_layers=6, num_attention_heads=6,
        num_key_value_heads=3, head_dim=128, tie_word_embeddings=True, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).to(torch.bfloat16).save_pretrained(folder)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, toy_folder, folder], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("LOADED ")]
    assert lines, done.stderr
    weights, peak = map(int, lines[0].split()[1:])
    assert weights > 200e6
    assert peak < 1.1 * (weights + (folder / "model.safetensors").stat().st_size)


def test_what_only_quantization_wants_is_loaded_when_it_is_asked_for() -> None:
    """bitsandbytes, and torch's compiler with it."""
    script = (
        "import sys, policy.lora\n"
        "slow = {'bitsandbytes.functional', 'torch._inductor.compile_fx'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)\n"
        "from peft.helpers import bnb\n"
        "import bitsandbytes\n"
        "assert bnb.functional.dequantize_4bit is bitsandbytes.functional.dequantize_4bit\n"
        "assert slow <= set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)

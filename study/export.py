"""A checkpoint as others load it: merged weights with the chat template, a GGUF for llama.cpp and Ollama, or adapters.

    python -m study.export checkpoint=runs/NAME format=merged              bf16 safetensors, adapters merged in
    python -m study.export checkpoint=runs/NAME format=gguf                bf16 GGUF with llama.cpp's names, a Modelfile
    python -m study.export checkpoint=runs/NAME format=adapter out=my/lora  the adapters alone, of a LoRA run

Without `out`, beside the run: exports/<run>-<format>. What was written is read again by transformers (adapters by peft)
and scored beside the checkpoint: the mean difference of log-probs must be within BOUND, and each text must become the
same tokens. Held-out pass@1 of the files: `python evaluate.py model=... model.path=exports/NAME-merged
protocol=heldout`, or of adapters `checkpoint=exports/NAME-adapter`.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import gguf
import torch
import yaml
from peft import AutoPeftModelForCausalLM
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from base import script
from base.command_line import Command
from base.errors import ConfigError, DataError, ModelError
from base.files import replacing, replacing_folder, write_text
from policy import lora
from policy.model import Policy
from policy.settings import ModelSettings
from rollout.pass_at_k import Row
from run import run_folder
from study.run_data import read_rows

BOUND = 0.05  # nats per token: bf16 keeps 8 bits of each weight
SCORED = 8  # texts
TOKENS = 256  # of each
ARCHITECTURES = {  # transformers' model_type -> llama.cpp's, and whether queries and keys are stored in another order
    "llama": (gguf.MODEL_ARCH.LLAMA, True),
    "qwen2": (gguf.MODEL_ARCH.QWEN2, False),
    "qwen3": (gguf.MODEL_ARCH.QWEN3, False),
}
SPLITS = {  # how a tokenizer splits a text before it merges, as tokenizer.json says it -> llama.cpp's name for it
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+"
    ): "qwen2",
    "Digits, ByteLevel": "smollm",
    "ByteLevel": "gpt-2",
}
GGUF, TEXT = "model.gguf", "for i in range(3):\n    print(i * 2)\n-- 2026-11-28: a sum of numbers.\n"


class Arguments(Command):
    usage: ClassVar[str] = "python -m study.export checkpoint=runs/NAME format=gguf"

    checkpoint: str
    format: Literal["merged", "gguf", "adapter"]
    out: str = ""


def export(arguments: Arguments) -> str:
    """Writes the files and reads them again. Returns what came of it, in one line. Raises UserError."""
    checkpoint = run_folder.find_checkpoint("checkpoint", arguments.checkpoint)
    run = checkpoint.parents[1] if run_folder.model_of(checkpoint) else checkpoint
    out = Path(arguments.out or f"exports/{run.resolve().name}-{arguments.format}").expanduser()
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"out={out} is not empty; name another folder")
    config = model_config(checkpoint)
    if arguments.format == "adapter" and not lora.saved_in(checkpoint):
        raise ConfigError(f"{checkpoint} has no adapters, it was trained whole: format=merged or format=gguf")
    policy, notes, samples = Policy.load(config, checkpoint), [], texts(run)
    with replacing_folder(out) as part:  # half an export would look like a whole one, and be in the next one's way
        if arguments.format == "adapter":
            notes = [adapter(policy, checkpoint, part)]
        elif arguments.format == "merged":
            merged(policy).save_pretrained(part)
            policy.tokenizer.save_pretrained(part)
        else:
            model = merged(policy)
            check(model)
            notes = write_gguf(model, policy.tokenizer, part / GGUF, run.resolve().name)
            write_text(part / "Modelfile", modelfile(policy, config))
        gap, same = compared(policy, part, samples, arguments.format)
        if not gap <= BOUND:
            raise ModelError(
                f"{out} is not written: read again, log-probs differ by {gap:.4f} nats per token, more than {BOUND}"
            )
        if not same and not (notes and arguments.format == "gguf"):
            raise ModelError(f"{out} is not written: the tokenizer, read again, makes other tokens of a text")
    said = f"log-probs of {len(samples)} texts within {gap:.5f} nats per token of the checkpoint's (at most {BOUND})"
    return "; ".join([f"{out}: {said}", *notes])


def model_config(checkpoint: Path) -> ModelSettings:
    """The config group `model` of the checkpoint's run. Raises DataError."""
    try:
        found = yaml.safe_load((checkpoint.parents[1] / run_folder.CONFIG).read_text(encoding="utf-8"))["model"]
        found["build"] = run_folder.MOVED.get(str(found.get("build")), found.get("build"))
    except (OSError, IndexError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise DataError(f"{checkpoint} lies in no run folder, whose config.yaml says what its model is") from error
    return ModelSettings.read(found, "model")


def adapter(policy: Policy, checkpoint: Path, out: Path) -> str:
    """The adapters alone, with the name of the model they belong to, which is returned in a sentence."""
    own = {lora.FILE, run_folder.MOMENTS, run_folder.STATE, run_folder.BATCH}  # the trainer's, in older checkpoints
    for path in checkpoint.iterdir():
        if path.is_file() and path.name not in own:
            shutil.copy(path, out / path.name)
    settings = json.loads((checkpoint / lora.FILE).read_text(encoding="utf-8"))
    settings["base_model_name_or_path"] = policy.source
    write_text(out / lora.FILE, json.dumps(settings, indent=2))
    return f"adapters of {policy.source}, to be loaded with peft"


def merged(policy: Policy) -> PreTrainedModel:
    """The model in bf16, adapters merged in fp32 before, without any wrapping."""
    model: Any = policy.model
    if lora.base(model) is not model:
        weights = dict(lora.whole_weights(model))
        plain: Any = AutoModelForCausalLM.from_pretrained(policy.source, dtype=torch.float32)
        plain.load_state_dict(weights, strict=False)  # what is tied has one name only
        plain.tie_weights()
    else:
        plain = type(model)(model.config)
        plain.generation_config = model.generation_config
        plain.load_state_dict(model.state_dict())
    converted: PreTrainedModel = plain.to(device="cpu", dtype=torch.bfloat16)
    return converted


def check(model: PreTrainedModel) -> None:
    """Raises ModelError for a model that llama.cpp would compute otherwise, or that this file cannot name."""
    config: Any = model.config
    why = ""
    if config.model_type not in ARCHITECTURES:
        why = f"model type {config.model_type!r}; those that can are {', '.join(ARCHITECTURES)}"
    elif (kind := (config.rope_parameters or {}).get("rope_type", "default")) != "default":
        why = f"positions scaled by {kind!r}"
    elif getattr(config, "use_sliding_window", False) or getattr(config, "mlp_bias", False):
        why = "a sliding window, or biases in its feed-forward layers"
    if why:
        raise ModelError(f"format=gguf: this model cannot be exported, it has {why}; format=merged can")


def write_gguf(model: PreTrainedModel, tokenizer: Any, path: Path, name: str) -> list[str]:
    """Writes the file; what llama.cpp will do otherwise is returned as sentences."""
    config: Any = model.config
    arch, permuted = ARCHITECTURES[config.model_type]
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    heads, shared = config.num_attention_heads, config.num_key_value_heads
    with replacing(path) as part:
        out = gguf.GGUFWriter(part, gguf.MODEL_ARCH_NAMES[arch])
        out.add_name(name)
        out.add_context_length(config.max_position_embeddings)
        out.add_embedding_length(config.hidden_size)
        out.add_block_count(config.num_hidden_layers)
        out.add_feed_forward_length(config.intermediate_size)
        out.add_head_count(heads)
        out.add_head_count_kv(shared)
        out.add_key_length(head)
        out.add_value_length(head)
        out.add_rope_dimension_count(head)
        out.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
        out.add_layer_norm_rms_eps(config.rms_norm_eps)
        out.add_vocab_size(config.vocab_size)
        out.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
        notes = _vocabulary(out, tokenizer, config.vocab_size, model.generation_config)
        names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
        for key, parameter in model.named_parameters():
            place = names.get_name(key, try_suffixes=(".weight", ".bias"))
            if place is None:
                raise ModelError(f"format=gguf: llama.cpp has no name for {key}")
            weight: Tensor = parameter.detach()
            if permuted and ".q_proj." in key:
                weight = interleaved(weight, heads)
            elif permuted and ".k_proj." in key:
                weight = interleaved(weight, shared)
            if weight.ndim == 1:  # norms and biases are kept in fp32
                out.add_tensor(place, weight.float().numpy())
            else:
                raw = weight.contiguous().view(torch.uint8).numpy()  # [rows, 2 * columns]
                out.add_tensor(place, raw, raw_dtype=gguf.GGMLQuantizationType.BF16)
        out.write_header_to_file()
        out.write_kv_data_to_file()
        out.write_tensors_to_file()
        out.close()
    return notes


def interleaved(weight: Tensor, heads: int) -> Tensor:
    """Rows of queries or keys in llama.cpp's order: the two halves of a head that rotate together, side by side."""
    rows = weight.shape[0] // heads
    halves = weight.reshape(heads, 2, rows // 2, *weight.shape[1:])  # [heads, 2, rows / 2, columns]
    return halves.swapaxes(1, 2).reshape(weight.shape)  # [heads * rows, columns]


def _vocabulary(out: gguf.GGUFWriter, tokenizer: Any, size: int, ends: Any) -> list[str]:
    described = json.loads(tokenizer.backend_tokenizer.to_str())
    if described["model"]["type"] != "BPE" or "ByteLevel" not in str(described["pre_tokenizer"]):
        raise ModelError(f"format=gguf: a tokenizer of kind {described['model']['type']} is not byte-level BPE")
    tokens = [f"[PAD{number}]" for number in range(size)]
    types = [gguf.TokenType.UNUSED] * size
    for token, number in described["model"]["vocab"].items():
        tokens[number], types[number] = token, gguf.TokenType.NORMAL
    for added in described["added_tokens"]:
        kind = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
        tokens[added["id"]], types[added["id"]] = added["content"], kind
    merges = [m if isinstance(m, str) else " ".join(m) for m in described["model"]["merges"]]
    if not merges:
        raise ModelError("format=gguf: a tokenizer that merges nothing cannot be written as byte-level BPE")
    known = SPLITS.get(_split(described["pre_tokenizer"]))
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre(known or "gpt-2")
    out.add_token_list(tokens)
    out.add_token_types(types)
    out.add_token_merges(merges)
    out.add_add_bos_token(False)
    end = ends.eos_token_id
    out.add_eos_token_id(end[0] if isinstance(end, list) else end if end is not None else tokenizer.eos_token_id)
    if tokenizer.pad_token_id is not None:
        out.add_pad_token_id(tokenizer.pad_token_id)
    if tokenizer.bos_token_id is not None:
        out.add_bos_token_id(tokenizer.bos_token_id)
    if tokenizer.chat_template:
        out.add_chat_template(tokenizer.chat_template)
    if known:
        return []
    return ["llama.cpp has no name for how this tokenizer splits a text, and will split it as GPT-2's does: prompts "
            "become other tokens there than in training"]  # fmt: skip


def _split(described: Any) -> str:
    """How a text is split: the regular expression, or the names of the parts."""
    if not isinstance(described, dict):
        return ""
    parts = described.get("pretokenizers", [described])
    regex = [part["pattern"].get("Regex", "") for part in parts if part["type"] == "Split"]
    if regex:
        return str(regex[0]) if len(regex) == 1 else ""
    if not any(part.get("use_regex") for part in parts):
        return ""
    return ", ".join(part["type"] for part in parts)


def modelfile(policy: Policy, config: ModelSettings) -> str:
    """For `ollama create NAME -f Modelfile`. The chat template is in the GGUF: Ollama reads it there.

    Ollama knows no escapes: what stands between quotes is taken as it is, line feeds between three of them.
    """
    ends = [policy.tokenizer.convert_ids_to_tokens(end) for end in policy.eos]
    lines = [f"FROM ./{GGUF}", f"PARAMETER temperature {config.temperature}"]
    lines += [f'PARAMETER stop "{end}"' for end in ends if end]
    if config.system:
        lines.append(f'SYSTEM """{config.system}"""')
    return "\n".join(lines) + "\n"


def texts(run: Path) -> list[str]:
    """Prompts with answers of the run's newest held-out evaluation; a text of our own where there is none."""
    files = sorted((run / "rollouts").glob("heldout_step_*.parquet"))
    rows: Sequence[Row] = read_rows(files[-1]) if files else []
    found = dict.fromkeys(str(row["prompt"]) + str(row["completion"]) for row in rows)
    return list(found)[:SCORED] or [TEXT]


def reopened(policy: Policy, out: Path, kind: str) -> Any:
    """The model that was written, as others load it, in fp32 on the policy's device."""
    reader: Any = AutoPeftModelForCausalLM if kind == "adapter" else AutoModelForCausalLM
    options: dict[str, Any] = {}
    if kind == "gguf":  # transformers' reader takes the size of Qwen3's heads from its defaults: it is told the shape
        options = {"gguf_file": GGUF, "config": lora.base(policy.model).config}
    return reader.from_pretrained(out, dtype=torch.float32, **options).to(policy.device).eval()


@torch.no_grad()
def compared(policy: Policy, out: Path, samples: Sequence[str], kind: str) -> tuple[float, bool]:
    """The mean difference of log-probs, in nats per token, between the checkpoint and the files; and whether the files'
    tokenizer makes the same tokens of the texts."""
    again = reopened(policy, out, kind)
    tokenizer = AutoTokenizer.from_pretrained(out, **({"gguf_file": GGUF} if kind == "gguf" else {}))
    trained: Callable[..., Any] = policy.model.eval()
    gaps, same = [], True
    for sample in samples:
        tokens = policy.encode(sample)[:TOKENS]
        same &= list(tokenizer(sample, add_special_tokens=False)["input_ids"])[:TOKENS] == tokens
        ids = torch.tensor([tokens], device=policy.device)  # [1, tokens]
        gaps.append((_logprobs(trained, ids) - _logprobs(again, ids)).abs())  # [tokens - 1]
    return float(torch.cat(gaps).mean()), same


def _logprobs(model: Callable[..., Any], ids: Tensor) -> Tensor:
    """Log-probs [tokens - 1] of each token after those before it."""
    logits = model(input_ids=ids).logits[0, :-1].float()  # [tokens - 1, vocabulary]
    return logits.log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]  # [tokens - 1]


def main(words: list[str]) -> None:
    print(export(Arguments.parse(words)))


if __name__ == "__main__":
    with script.one_sentence("interrupted"):
        main(sys.argv[1:])

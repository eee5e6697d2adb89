"""The tiny policy: a Qwen3 of about 1.1 M parameters with its own tokenizer, fluent in Python and clumsy in Lua.

It stands at the place of a pretrained model on a machine that has none: a small picture of a model that has read
much of one language and little of another. `ensure` trains it in about a minute on two cores, on the chats of
`policy.builtin.tiny_corpus`, and saves what `save_pretrained` saves; nothing else here knows how it came to be.

    python -m policy.builtin.tiny           # prints the folder; builds it if it is not there
"""

from __future__ import annotations

import hashlib
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM
from transformers.utils.chat_template_utils import render_jinja_template

import languages
from base.files import cache_folder, make_once
from policy.builtin import tiny_corpus
from policy.builtin.tiny_corpus import Corpus, Sample
from problems import prompt, starter
from problems.starter import kinds as starter_kinds

VOCABULARY = 1024
STEPS = 400
BATCH = 16  # chats a step
LEARNING_RATE = 3e-3  # the highest, after the warm-up
WARMUP = 40  # steps

language = cache(languages.load)  # each file is read once, for ten thousand chats

END_OF_TURN, PADDING = "<|im_end|>", "<|endoftext|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Words take the space before them, and dotted ones are one (io.read); so are quoted strings; digits stand alone.
WORD = r"""\n*```\n?| ?[A-Za-z_]+(?:\.[A-Za-z_]+)*| ?[0-9]| ?"[^"\n]*"| ?[^\sA-Za-z_0-9"]+|\s+"""


def ensure(seed: int = 0) -> Path:
    """The folder of the tiny policy for `seed`; builds it if it is not there. Safe to call from several processes."""
    folder = cache_folder("models") / f"tiny-{fingerprint(seed)}"
    return make_once(folder, lambda part: build(part, seed, STEPS))


def fingerprint(seed: int) -> str:
    """Names what the policy is a function of: our own sources, the two languages, the seed, and torch."""
    digest = hashlib.sha256(f"{seed} {torch.__version__}".encode())
    modules = [Path(str(module.__file__)) for module in (prompt, starter, starter_kinds)]
    for path in [Path(__file__), *modules, *sorted(tiny_corpus.FOLDER.glob("*.*"))]:
        digest.update(path.read_bytes())
    for name in tiny_corpus.LANGUAGES:
        loaded = languages.load(name)  # how its programs are run does not matter here
        digest.update(repr((loaded.title, loaded.fence, loaded.prompt)).encode())
    return digest.hexdigest()[:12]


def build(folder: Path, seed: int, steps: int) -> None:
    """Trains tokenizer and model and saves both into `folder`. Leaves torch's global random state as it was."""
    started = time.perf_counter()
    corpus = Corpus(seed)
    samples = [corpus.draw() for _ in range(steps * BATCH)]
    tokenizer = train_tokenizer(samples[:4000])
    print(f"tiny policy: {len(samples)} chats, {len(tokenizer)} tokens; training for about a minute", file=sys.stderr)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = untrained(tokenizer)
        for step, loss in enumerate(pretrain(model, tokenizer, samples, steps), start=1):
            if step % 50 == 0 or step == steps:
                seconds = time.perf_counter() - started
                print(f"tiny policy: step {step}/{steps}, loss {loss:.3f}, {seconds:.0f} s", file=sys.stderr)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def chat(sample: Sample) -> tuple[str, str]:
    """The prompt exactly as training by reward renders it, and the answer that ends the turn."""
    messages = prompt.messages(sample.problem, language(sample.language))
    text = render_jinja_template([messages], chat_template=CHAT_TEMPLATE, add_generation_prompt=True)[0][0]
    return str(text), sample.completion + END_OF_TURN


def train_tokenizer(samples: list[Sample]) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer fitted to the chats; it encodes any text, others at more tokens.

    Lines that many prompts share (the formats, what a language's file tells) are one token each: they are most of a
    prompt, and cost a model this small most of its time.
    """
    bpe = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(WORD), "isolated")
    bpe.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PADDING, "<|im_start|>", END_OF_TURN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    chats = [chat(sample) for sample in samples]
    bpe.train_from_iterator((text for both in chats for text in both), trainer)
    counts = Counter(line for text, _ in chats for line in text.replace(END_OF_TURN, "").splitlines())
    bpe.add_tokens([line for line, n in sorted(counts.items()) if n >= len(samples) / 50 and " " in line])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token=END_OF_TURN, pad_token=PADDING, padding_side="left", model_max_length=4096
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def untrained(tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    end, padding = tokenizer.eos_token_id, tokenizer.pad_token_id
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=128,
            intermediate_size=448,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=4,
            head_dim=32,
            max_position_embeddings=4096,
            rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=end,
            pad_token_id=padding,
            dtype="float32",
        )
    )
    model.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=padding, do_sample=True)
    return model


def pretrain(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, samples: list[Sample], steps: int
) -> Iterator[float]:
    """Next-token prediction of the answers, each chat seen once; yields every step's loss, nats per token."""
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.01, fused=True)
    model.train()
    for step in range(steps):
        rise, fall = (step + 1) / WARMUP, 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(rise, fall)
        ids, answer = collate(tokenizer, samples[step * BATCH : (step + 1) * BATCH])  # 2 x [rows, width]
        # Causal, and padded on the right: no attention mask is needed.
        states = model.model(input_ids=ids, use_cache=False).last_hidden_state  # [rows, width, hidden]
        target = answer[:, 1:]  # [rows, width - 1]
        logits = model.lm_head(states[:, :-1][target])  # [answer tokens, vocabulary]
        loss = F.cross_entropy(logits, ids[:, 1:][target])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        yield loss.item()


def collate(tokenizer: PreTrainedTokenizerFast, samples: list[Sample]) -> tuple[Tensor, Tensor]:
    """Token ids, and which of them are the answer's; each [rows, width], padded on the right."""
    chats = [chat(sample) for sample in samples]
    prompts = tokenizer([text for text, _ in chats])["input_ids"]
    answers = tokenizer([text for _, text in chats])["input_ids"]
    width = max(len(p) + len(a) for p, a in zip(prompts, answers, strict=True))
    ids = torch.full((len(samples), width), tokenizer.pad_token_id)  # [rows, width]
    answer = torch.zeros(len(samples), width, dtype=torch.bool)  # [rows, width]
    for row, (p, a) in enumerate(zip(prompts, answers, strict=True)):
        ids[row, : len(p) + len(a)] = torch.tensor(p + a)
        answer[row, len(p) : len(p) + len(a)] = True
    return ids, answer


if __name__ == "__main__":
    print(ensure())

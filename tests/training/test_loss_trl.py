"""Loss and gradient equal TRL's, for every variant both have, in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM
from trl import GRPOConfig, GRPOTrainer

from policy.model import Policy
from tests.toy_policy import toy_model
from training.loss import BatchSize, LossConfig, policy_loss, sampler_correction

ROWS, TOKENS, VOCABULARY = 6, 7, 40
MAX_NEW_TOKENS = 12

# our settings, TRL's settings
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "grpo": ({"variant": "grpo"}, {"loss_type": "grpo"}),
    "grpo, clip-higher": ({"variant": "grpo", "clip_high": 0.4}, {"loss_type": "grpo", "epsilon_high": 0.4}),
    "grpo, kl": ({"variant": "grpo", "kl": 0.3}, {"loss_type": "grpo", "beta": 0.3, "use_bias_correction_kl": False}),
    "dr_grpo": ({"variant": "dr_grpo"}, {"loss_type": "dr_grpo"}),
    "dapo": ({"variant": "dapo", "clip_high": 0.28}, {"loss_type": "dapo", "epsilon_high": 0.28}),
    "gspo": ({"variant": "gspo"}, {"loss_type": "grpo", "importance_sampling_level": "sequence"}),
    "cispo": ({"variant": "cispo", "clip_high": 1.1}, {"loss_type": "cispo", "epsilon_high": 1.1}),
}


def tokenizer() -> PreTrainedTokenizerFast:
    words = {f"w{i}": i for i in range(VOCABULARY)}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words, unk_token="w0")), pad_token="w0", eos_token="w1"
    )


def model() -> Qwen3ForCausalLM:
    torch.manual_seed(0)
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=VOCABULARY,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            pad_token_id=0,
            eos_token_id=1,
        )
    ).double()


def rewards(completions: list[str], **_: Any) -> list[float | None]:
    return [0.0] * len(completions)


def trainer(settings: dict[str, Any], folder: Path) -> GRPOTrainer:
    config = GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=ROWS,
        num_generations=ROWS,
        max_completion_length=MAX_NEW_TOKENS,
        use_cpu=True,
        bf16=False,
        report_to=[],
        **{key: value for key, value in settings.items() if key != "beta"},
    )
    prompts = Dataset.from_list([{"prompt": "w2 w3"}] * ROWS)
    made = GRPOTrainer(model(), rewards, config, prompts, None, tokenizer())
    made.current_gradient_accumulation_steps = 1
    made.beta = settings.get("beta", 0.0)  # set late: given at once, TRL would load a reference model by name
    return made


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    lengths = torch.tensor([7, 3, 1, 5, 7, 2])
    old = -torch.rand(ROWS, TOKENS, dtype=torch.float64) * 3
    return {
        "prompt": torch.randint(2, VOCABULARY, (4,)),
        "tokens": torch.randint(2, VOCABULARY, (ROWS, TOKENS)),
        "mask": torch.arange(TOKENS) < lengths[:, None],
        "old": old,
        "logp": old + 0.3 * torch.randn(ROWS, TOKENS, dtype=torch.float64),
        "sampled": old + 0.4 * torch.randn(ROWS, TOKENS, dtype=torch.float64),
        "reference": old + 0.2 * torch.randn(ROWS, TOKENS, dtype=torch.float64),
        "advantages": torch.randn(ROWS, dtype=torch.float64),
    }


def trl_inputs(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    prompts = batch["prompt"].expand(ROWS, -1)
    return {
        "prompt_ids": prompts,
        "prompt_mask": torch.ones_like(prompts),
        "completion_ids": batch["tokens"],
        "completion_mask": batch["mask"].long(),
        "advantages": batch["advantages"],
        "old_per_token_logps": batch["old"],
        "ref_per_token_logps": batch["reference"],
        "num_items_in_batch": batch["mask"].sum(),
    }


def size(batch: dict[str, torch.Tensor]) -> BatchSize:
    return BatchSize(ROWS, int(batch["mask"].sum()), MAX_NEW_TOKENS)


@pytest.mark.parametrize("correction", ["none", "token_truncate", "sequence_mask"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_loss_and_its_gradient_by_log_prob(
    variant: str, correction: str, batch: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    ours, theirs = VARIANTS[variant]
    trl = trainer(theirs, tmp_path)

    their_logp = batch["logp"].clone().requires_grad_()
    entropies = torch.zeros_like(their_logp)
    trl._get_per_token_logps_and_entropies = lambda *_, **__: (their_logp, entropies, None)  # type: ignore[method-assign]
    inputs = trl_inputs(batch)
    if correction != "none":
        trl.use_vllm = trl.vllm_importance_sampling_correction = True
        weights = sampler_correction(batch["old"], batch["sampled"], batch["mask"].double(), correction, 1.3)
        inputs["importance_sampling_ratio"] = weights
    their_loss = trl._compute_loss(trl.model, inputs)
    their_loss.backward()

    logp = batch["logp"].clone().requires_grad_()
    config = LossConfig.read({"correction": correction, "correction_cap": 1.3} | ours)
    arguments = (batch["old"], batch["sampled"], batch["advantages"], batch["mask"], size(batch), config)
    loss, _ = policy_loss(logp, *arguments, batch["reference"])
    loss.backward()

    assert loss.item() == pytest.approx(their_loss.item(), rel=1e-12)
    assert logp.grad is not None and their_logp.grad is not None
    torch.testing.assert_close(logp.grad, their_logp.grad, rtol=1e-12, atol=1e-15)


def test_gradient_by_parameter_through_the_model(batch: dict[str, torch.Tensor], tmp_path: Path) -> None:
    """The whole way: shared prompt and chunked log-probs here, padded batch and full logits there."""
    trl = trainer({"loss_type": "grpo", "temperature": 0.7}, tmp_path)
    inputs = trl_inputs(batch)
    del inputs["old_per_token_logps"]  # on-policy: both take their own log-probs
    their_loss = trl._compute_loss(trl.model, inputs)
    their_loss.backward()

    policy = Policy(model().train(), None, toy_model(None), "random")
    logp, _ = policy.logprobs([batch["prompt"].tolist()] * len(batch["tokens"]), batch["tokens"], batch["mask"], 0.7)
    old = logp.detach()
    config = LossConfig(correction="none")
    loss, _ = policy_loss(logp, old, old, batch["advantages"], batch["mask"], size(batch), config)
    loss.backward()

    assert loss.item() == pytest.approx(their_loss.item(), rel=1e-6)
    assert trl.model is not None
    theirs = dict(trl.model.named_parameters())
    for name, parameter in policy.model.named_parameters():
        gradient, wanted = parameter.grad, theirs[name].grad
        assert gradient is not None and wanted is not None
        # transformers computes norms in fp32 even in a model of fp64, hence no closer.
        assert (gradient - wanted).abs().max() < 1e-5 * wanted.abs().max(), name

"""vLLM's real engine, in a process of its own (it binds threads and keeps memory until the process ends).

What the engine is asked, and what becomes of its refusals, is tested with a stand-in.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from base.errors import RunError
from benchmarks.gap import sampler_gap
from policy.model import Policy
from policy.ranks import ALONE
from policy.samplers.sampler import Sampling
from policy.samplers.vllm import VllmSampler
from policy.settings import RolloutSettings
from tests.conftest import ROOT

SCRIPT = """
import json, sys
import torch
from base.errors import ModelError
from benchmarks.gap import sampler_gap
from policy.model import Policy
from policy.samplers.sampler import Sampling
from policy.samplers.vllm import VllmSampler
from tests.policy.samplers.test_sampler_vllm import settings
from tests.toy_policy import toy_model

if __name__ == "__main__":
    model = toy_model(sys.argv[1])
    policy = Policy.load(model)
    answer = {}
    try:
        VllmSampler(policy, settings(max_new_tokens=5000), seed=0)
    except ModelError as error:
        answer["too long"] = str(error)
    sampler = VllmSampler(policy, settings(batch_size=128), seed=0)
    prompts = prompts_before = [[40, 50, 60], [70, 80, 90, 100, 110, 120]]

    def draw(temperature, seed=0, n=4):
        seen = {}
        sampler.sample(prompts, n, Sampling(temperature, 32), seed, lambda i, c: seen.__setitem__(i, c))
        return [seen[i] for i in range(len(prompts) * n)]

    def gap(completions):
        return sampler_gap(policy, [prompts[c.prompt] for c in completions], completions, 0.7)

    def greedy():
        return [c.tokens for c in draw(0.0, n=1)]

    answer |= {"gap before": gap(draw(0.7)), "greedy before": greedy()}
    answer["same seed"] = [c.tokens for c in draw(0.7, 5)] == [c.tokens for c in draw(0.7, 5)]
    answer["other seed"] = [c.tokens for c in draw(0.7, 5)] == [c.tokens for c in draw(0.7, 6)]
    answer["ends"] = all(
        c.finished == (c.tokens[-1] in policy.eos) and (c.finished or len(c.tokens) == 32) for c in draw(0.7)
    )
    whole, part = draw(0.7, 5), {}
    sampler.sample(prompts, 4, Sampling(0.7, 32), 5, lambda i, c: part.__setitem__(i, c), wanted={1, 6})
    answer["part"] = {i: c.tokens for i, c in part.items()} == {i: whole[i].tokens for i in (1, 6)}
    grown = {}
    note = lambda i, tokens: grown.setdefault(i, []).append(tokens)
    sampler.sample(prompts, 4, Sampling(0.7, 32), 5, lambda i, c: part.__setitem__(i, c), grows=note)
    answer["grown as drawn"] = all(part[i].tokens == c.tokens for i, c in enumerate(whole))
    answer["grows"] = all(
        len(grown[i]) >= len(c.tokens) - 2 and all(part == c.tokens[:len(part)] for part in grown[i])
        for i, c in enumerate(whole) if len(c.tokens) > 2
    )
    def enough(i, tokens):
        if len(tokens) == 3:
            raise KeyboardInterrupt
    try:
        sampler.sample(prompts, 4, Sampling(0.7, 32), 5, lambda i, c: None, grows=enough)
    except KeyboardInterrupt:
        answer["left over"] = sampler.engine.llm_engine.get_num_unfinished_requests()
    answer["after a stop"] = [c.tokens for c in draw(0.7, 5)] == [c.tokens for c in whole]
    stop = whole[0].text[3:5]
    sampler.sample(prompts, 4, Sampling(0.7, 32, stop=(stop,)), 5, lambda i, c: part.__setitem__(i, c))
    answer["stopped"] = part[0].finished and len(part[0].tokens) < len(whole[0].tokens) and stop in part[0].text
    # More prompt tokens than vLLM takes in one step: some prompt would be cut in two, which a seed must survive.
    prompts, many = [[40 + n % 50] * 60 for n in range(120)], {}
    sampler.sample(prompts, 1, Sampling(0.7, 4), 5, lambda i, c: many.__setitem__(i, c))
    answer["many"] = len(many)
    policy.model.generation_config.eos_token_id = list(range(150, 250))  # and the tokenizer's own end, 1
    seen = []
    sampler.sample([[40, 50]], 16, Sampling(1.5, 32), 5, lambda i, c: seen.append(c))
    ends = [t for c in seen for t in c.tokens[:-1] if t in policy.eos]
    answer["all ends"] = not ends and all(c.finished == (c.tokens[-1] in policy.eos) for c in seen)
    policy.model.generation_config.eos_token_id = 1
    sampler.sample([[40, 50]], 16, Sampling(1.5, 32), 5, lambda i, c: seen.append(c))
    answer["beyond the tokenizer"] = max(t for c in seen for t in c.tokens)
    prompts = prompts_before
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.add_(0.3 * parameter.std() * torch.randn_like(parameter) if parameter.ndim > 1 else 0)
    answer["gap unsynced"] = gap(draw(0.7))
    sampler.sleep()
    sampler.sync()
    answer["gap synced"] = gap(draw(0.7))
    answer["greedy synced"] = greedy()
    with torch.no_grad():
        policy.model.eval()
        expected = [
            policy.model.generate(
                torch.tensor([p]), attention_mask=torch.ones(1, len(p)), max_new_tokens=32, do_sample=False
            )[0, len(p):].tolist()
            for p in prompts
        ]
    answer["greedy expected"] = expected
    print("ANSWER", json.dumps(answer))
"""


MIXTURE = """
import shutil, sys
from pathlib import Path
import torch
from policy.model import Policy
from policy.samplers.vllm import VllmSampler
from tests.policy.families import build
from tests.policy.samplers.test_sampler_vllm import gap, settings
from tests.toy_policy import toy_model

if __name__ == "__main__":
    toy, folder = map(Path, sys.argv[1:])
    shape = dict(vocab_size=300, hidden_size=128, head_dim=32, moe_intermediate_size=48, num_hidden_layers=2)
    build("glm4_moe", **shape).float().save_pretrained(folder)
    for file in [*toy.glob("*token*"), toy / "generation_config.json"]:
        shutil.copy(file, folder)
    policy = Policy.load(toy_model(folder))
    sampler = VllmSampler(policy, settings(), seed=0)
    print("GAP", gap(policy, sampler))
    sampler.sync()
    print("GAP", gap(policy, sampler))
    bias = policy.model.get_buffer("model.layers.1.mlp.gate.e_score_correction_bias")
    bias.copy_(torch.tensor([4.0, 3.0, -3.0, -4.0]))
    policy.model.get_parameter("model.layers.1.mlp.experts.down_proj").data.mul_(0.5)
    print("GAP", gap(policy, sampler))
    sampler.sync()
    print("GAP", gap(policy, sampler))
"""

INT8 = """
import sys
from pathlib import Path
import torch
from policy.lora import LoraSettings
from policy.model import Policy
from policy.samplers import int8
from policy.samplers.vllm import VllmSampler
from tests.policy.samplers.test_sampler_vllm import gap, settings
from tests.toy_policy import toy_model

if __name__ == "__main__":
    policy = Policy.load(toy_model(sys.argv[1]), adapters=LoraSettings(rank=4, alpha=8, targets="all-linear"))
    sampler = VllmSampler(policy, settings(quantize="int8"), seed=0)
    print("GAP", gap(policy, sampler))
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in policy.trainable():
            parameter.add_(0.3 * torch.randn_like(parameter))
    print("GAP", gap(policy, sampler))
    sampler.sync()
    print("GAP", gap(policy, sampler))
    rounded = dict(int8.weights(policy))
    whole = Policy.load(toy_model(sys.argv[1]))
    for name, weight in whole.model.named_parameters():
        scale = rounded.get(f"{name}_scale", torch.ones(()))
        weight.data = rounded[name].float() * scale
    print("GAP", gap(whole, sampler))
    print("BITS", *sorted({str(weight.dtype) for name, weight in rounded.items() if name.endswith("proj.weight")}))
"""


def settings(**changes: Any) -> RolloutSettings:
    """Of a small engine."""
    ours = {"batch_size": 16, "max_prompt_tokens": 64, "max_new_tokens": 32, "gpu_memory_utilization": 0.3}
    drawing = {"temperature": 0.7, "top_p": 1.0, "max_sampler_gap": 0.5, "cpu_kv_cache_gib": 1}
    return RolloutSettings(**({"engine": "vllm"} | ours | drawing | changes))


def gap(policy: Any, sampler: Any) -> float:
    """Between the policy's log-probs and the sampler's, nats per token of eight completions that are drawn now."""
    prompt, seen = [40, 50, 60], list[Any]()
    sampler.sample([prompt], 8, Sampling(0.7, 32), 0, lambda _, completion: seen.append(completion))
    return sampler_gap(policy, [prompt] * 8, seen, 0.7)


def gaps(script: str, *arguments: Path) -> tuple[list[float], str]:
    """Those that a script prints, and all of its output."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    return [float(line.removeprefix("GAP ")) for line in lines if line.startswith("GAP ")], done.stdout


def test_weights_of_8_bits_are_synced(toy_folder: Path) -> None:
    """What is left is the rounding: of weights and inputs, of inputs alone where the policy has the same weights."""
    (before, unsynced, synced, inputs), output = gaps(INT8, toy_folder)
    assert 0.001 < synced < 0.15 and before < 0.15 and inputs < synced, output
    assert unsynced > 0.3, output
    assert "BITS torch.int8\n" in output


def test_the_experts_of_a_mixture_and_their_routers_bias_are_synced(toy_folder: Path, tmp_path: Path) -> None:
    (before, again, unsynced, synced), output = gaps(MIXTURE, toy_folder, tmp_path)
    assert max(before, again, synced) < 0.001, output
    assert unsynced > 0.1, output


def test_weights_are_synced_and_log_probs_agree(toy_folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(toy_folder)], cwd=ROOT, capture_output=True, text=True, timeout=900
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
    assert lines, done.stderr[-3000:]
    answer = json.loads(lines[0].removeprefix("ANSWER "))
    assert answer["gap before"] < 0.02 and answer["gap synced"] < 0.02
    assert answer["gap unsynced"] > 0.2, "the test's change of weights must be one that a stale engine shows"
    assert answer["greedy synced"] != answer["greedy before"]
    assert answer["greedy synced"] == answer["greedy expected"]
    assert answer["part"] and answer["stopped"] and answer["many"] == 120
    assert answer["grows"] and answer["grown as drawn"]
    assert answer["left over"] == 0 and answer["after a stop"], "a raise in the middle left requests behind"
    assert answer["all ends"] and answer["beyond the tokenizer"] >= 258
    assert "max_new_tokens is 5064" in answer["too long"] and answer["too long"].endswith("at most 1024")
    assert answer["same seed"] and not answer["other seed"] and answer["ends"]


@pytest.fixture
def stand_in(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A sampler whose engine agrees to everything and answers nothing."""
    outputs = SimpleNamespace(CUMULATIVE="cumulative", FINAL_ONLY="final only")
    modules = {
        "vllm": SimpleNamespace(RequestOutput=object, SamplingParams=SimpleNamespace),
        "vllm.sampling_params": SimpleNamespace(RequestOutputKind=outputs),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    sampler = VllmSampler.__new__(VllmSampler)
    sampler.policy, sampler.ranks, sampler.engine = policy, ALONE, MagicMock()
    sampler.quantize, sampler.can_sleep, sampler.requests = None, False, 0
    sampler.engine.llm_engine.has_unfinished_requests.return_value = False
    return sampler


def test_a_prefix_cache_that_cannot_be_emptied_is_an_error(stand_in: Any) -> None:
    """vLLM says so by False alone, and would go on with keys and values of old weights."""
    stand_in.sync()
    stand_in.engine.reset_prefix_cache.return_value = False
    for use in (stand_in.sync, lambda: stand_in.sample([[40]], 1, Sampling(0.7, 4), 0, lambda *_: None)):
        with pytest.raises(RunError, match="vLLM cannot empty its prefix cache"):
            use()


@pytest.mark.parametrize("stop", [(), ("END",)])
def test_text_is_made_only_where_a_text_may_stop_it(stand_in: Any, stop: tuple[str, ...]) -> None:
    """An id without a text, as models with a padded vocabulary draw them, would be an error there."""
    with pytest.raises(RuntimeError, match="vLLM ended without answering 2 of its requests"):
        stand_in.sample([[40]], 2, Sampling(0.7, 4, stop=stop), 5, lambda *_: None)
    asked = [call.args[2] for call in stand_in.engine.llm_engine.add_request.call_args_list]
    assert [parameters.detokenize for parameters in asked] == [bool(stop)] * 2
    assert [parameters.stop for parameters in asked] == [list(stop)] * 2
    assert [parameters.seed for parameters in asked] == [5, 6]

"""The adapters in their real trainers."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

from sandbox.pool import Pool

ROOT = Path(__file__).parents[3]
VERL_PACKAGES = ("verl==0.9.1", "tensordict==0.10.0", "pyvers", "codetiming", "torchdata")
VERL = """
import json, numpy, torch
from tensordict import TensorDict
from verl import DataProto
from verl.trainer.ppo.reward import get_custom_reward_fn
from verl.workers.reward_manager import NaiveRewardManager
from omegaconf import OmegaConf
import sys
from policy.builtin import tiny
from transformers import AutoTokenizer

where = {"path": sys.argv[1], "name": "compute_score"}
score = get_custom_reward_fn(OmegaConf.create({"reward": {"custom_reward_function": where},
                                               "custom_reward_function": where}))
tokenizer = AutoTokenizer.from_pretrained(tiny.ensure())
tokenizer.padding_side = "right"
answers = [f"```lua\\nprint({n})\\n```" for n in (2, 3)]
coded = tokenizer(answers, return_tensors="pt", padding=True)
prompts = tokenizer(["a", "a"], return_tensors="pt")
truth = json.dumps({"language": "lua", "tests": [{"input": "1", "output": "2"}]})
data = DataProto(
    TensorDict({"prompts": prompts["input_ids"], "responses": coded["input_ids"],
                "attention_mask": torch.cat([prompts["attention_mask"], coded["attention_mask"]], 1)}, 2),
    {"reward_model": numpy.array([{"ground_truth": truth}] * 2), "data_source": numpy.array(["mine"] * 2),
     "extra_info": numpy.array([{}, {}])})
rewards = NaiveRewardManager(tokenizer, 0, score)(data)
assert rewards.sum(1).tolist() == [1.0, 0.0], rewards
print("as it should be")
"""
VERIFIERS = """
import asyncio, sys
import verifiers.v1 as vf
from verifiers.v1.utils.loaders import load_taskset, taskset_class
from sandbox.rewards.verifiers import ProgramConfig, ProgramTaskset

assert taskset_class("lua_problems") is ProgramTaskset
[task] = list(load_taskset(ProgramConfig(id="lua_problems", path=sys.argv[1])))
class Said:
    def __init__(self, text): self.last_reply = text
for number, reward in ((2, 1.0), (3, 0.0)):
    [hook] = task.hooks("reward")
    assert asyncio.run(hook(trace=Said(f"```lua\\nprint({number})\\n```"))) == reward
print("as it should be")
"""


def borrowing(folder: Path, *packages: str, deps: bool = False) -> str:
    """The Python of a new environment with these packages, which also sees what is installed here."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", *([] if deps else ["--no-deps"]), *packages]
    subprocess.run(install, check=True)
    [site] = folder.glob("lib/*/site-packages")
    (site / "ours.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return python


def run(python: str, code: str, *words: str, path: Path = ROOT) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{path}"}
    done = subprocess.run([python, "-c", code, *words], env=environment, capture_output=True, text=True, timeout=600)
    assert done.stdout.endswith("as it should be\n"), done.stderr[-3000:]


@pytest.mark.slow
def test_trls_trainer_improves_with_our_reward(tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One problem, which the tiny model solves now and then: after a few steps it solves it more often."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    import languages
    from policy.builtin import tiny
    from problems import prompt, starter
    from sandbox.rewards import judge, trl

    monkeypatch.setattr(judge, "_pool", lambda language: pool)
    problem = starter.splits()["train"][0]
    config = GRPOConfig(
        output_dir=str(tmp_path),
        per_device_train_batch_size=16,
        num_generations=16,
        max_completion_length=96,
        max_steps=8,
        learning_rate=1e-3,
        logging_steps=1,
        use_cpu=True,
        bf16=False,
        report_to=[],
        seed=0,
    )
    tests = [{"input": test.input, "output": test.output} for test in problem.tests]
    row = {"prompt": prompt.messages(problem, languages.load("lua")), "language": "lua", "tests": tests}
    folder = tiny.ensure()
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    trainer = GRPOTrainer(model, trl.passes_tests, config, Dataset.from_list([row] * 8), None, tokenizer)
    trainer.train()
    rewards = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
    assert sum(rewards[-3:]) > sum(rewards[:3])


@pytest.mark.slow
def test_verls_reward_manager_scores_with_our_function(tmp_path: Path) -> None:
    python = borrowing(tmp_path / "venv", *VERL_PACKAGES)
    run(python, VERL, str(ROOT / "sandbox" / "rewards" / "verl.py"))


@pytest.mark.slow
def test_verifiers_finds_our_taskset_and_its_reward(tmp_path: Path) -> None:
    problem = {"prompt": "Print 2.", "language": "lua", "tests": [{"input": "", "output": "2"}]}
    (tmp_path / "problems.jsonl").write_text(json.dumps(problem) + "\n")
    module = "from sandbox.rewards.verifiers import ProgramTaskset\n\n__all__ = ['ProgramTaskset']\n"
    (tmp_path / "lua_problems.py").write_text(module)
    python = borrowing(tmp_path / "venv", "verifiers==0.4.0", "antlr4-python3-runtime==4.9.3", deps=True)
    run(python, VERIFIERS, str(tmp_path / "problems.jsonl"), path=tmp_path)

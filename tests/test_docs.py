"""The docs are true as far as a machine can tell: links, commands, diffs, examples, and what is written from code."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from policy.samplers.sampler import Completion
from problems.problem import Problem
from rollout.reward import rewards_of
from rollout.rollout import Rollout
from sandbox.job import Status, Test, TestResult, Verdict
from study import advise
from tests.conftest import ROOT
from training.loss import BatchSize, LossConfig, policy_loss

DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md"])
CONFIGS = {  # a command that Hydra reads -> its primary file
    "train.py": "train",
    "evaluate.py": "evaluate",
    "reformulate.py": "reformulate",
    "problems.prepare": "prepare",
    "study.bugs": "bugs",
    "study.advise": "advise",
}
# What a page's own diffs add.
ADDED = {"reward=runs", "dataset=riddles", "advantage=leave_one_out", "rollout.engine=mine"}


def blocks(page: Path, kind: str) -> list[str]:
    return re.findall(rf"^ *```(?:{kind})\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """The lines of a page's blocks that start Python, without comments, environment and pipes."""
    lines = "".join(blocks(page, "sh|text|")).replace("\\\n", "").splitlines()
    found = []
    for line in lines:
        for part in re.split(r"&&|\|", line.partition(" #")[0].partition(" <")[0]):
            if match := re.fullmatch(r"(?:[A-Z_]+=\S+ )*(python .*)", part.strip()):
                found.append(match[1])
    return found


advise.register()  # the languages, and `advisor=`
ELSEWHERE = ("README.md", "other-methods.md")  # tests/test_readme.py, tests/test_training_docs.py
COMMANDS = [(page, command) for page in PAGES if page.name not in ELSEWHERE for command in commands(page)]


def name(value: Any) -> str:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(value)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?://)([^)#\s]*)(?:#([^)]*))?\)", page.read_text()):
        linked = page.parent / target if target else page
        assert linked.exists(), f"{name(page)} links to {target}"
        if anchor:
            assert anchor in anchors(linked), f"{name(page)} links to {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """What GitHub makes of a page's headings: lower case, without punctuation, blanks as hyphens."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_the_index_has_every_page() -> None:
    index = (DOCS / "README.md").read_text()
    for page in DOCS.rglob("*.md"):
        assert page.name == "README.md" or f"]({page.relative_to(DOCS)})" in index, page


def test_pages_that_code_and_configs_mention_are_there() -> None:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for path in map(Path, listed.stdout.split()):
        if path.suffix in (".py", ".yaml", ".c", ".toml", ".md", "") and (ROOT / path).is_file():
            for page in re.findall(r"\bdocs/[\w/.-]+\.(?:md|png|svg)\b", (ROOT / path).read_text(errors="replace")):
                assert (ROOT / page).is_file(), f"{path} mentions {page}"


def test_files_that_the_readme_and_the_pages_name_are_there() -> None:
    rooms = {path.name for path in ROOT.iterdir() if path.is_dir()}
    for page in PAGES:
        for path in re.findall(r"`([\w./-]+(?:/|\.py|\.yaml))`", page.read_text()):
            if path.split("/")[0] in rooms - {"runs", "scores", "data"} and not re.search(r"[A-Z]{2}|rexx", path):
                assert (ROOT / path).exists(), f"{name(page)} names {path}"


def test_the_reference_of_config_keys_is_what_the_config_files_say() -> None:
    page = subprocess.run([sys.executable, "docs/reference/config.py"], cwd=ROOT, capture_output=True, text=True)
    assert page.returncode == 0, page.stderr
    written = (DOCS / "reference/config.md").read_text()
    assert page.stdout == written, "run: python docs/reference/config.py > docs/reference/config.md"
    for path in (ROOT / "conf").rglob("*.yaml"):  # none is forgotten
        if "hydra" not in path.parts and path.name != "script.yaml":  # Hydra's own keys
            assert path.read_text().removeprefix("# @package _global_\n").splitlines()[0] in written, path


def test_the_reference_of_commands_has_every_command() -> None:
    page = (DOCS / "reference/commands.md").read_text()
    for path in sorted(ROOT.rglob("*.py")):
        path = path.relative_to(ROOT)
        if path.parts[0] in (".venv", "tests", "docs") or path.parts[:2] == ("sandbox", "worker.py"):
            continue  # the worker is started by the pool, never by people
        if path.name == "__main__.py" or re.search(r'^if __name__ == "__main__":', (ROOT / path).read_text(), re.M):
            module = ".".join(path.with_suffix("").parts).removesuffix(".__main__")
            by_path = len(path.parts) == 1 or path.parts[0] == "benchmarks"
            assert f"`python {path}" in page if by_path else f"`python -m {module}" in page, path


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 40


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=name)
def test_command(page: Path, command: str) -> None:
    """Hydra takes it: groups, options and keys are there. Of other commands: the module is there."""
    words = [word for word in shlex.split(command)[1:] if word not in ("-m", "...") and not word.endswith("=...")]
    script, *overrides = words
    if script not in CONFIGS:
        found = (ROOT / script).is_file() if script.endswith(".py") else importlib.util.find_spec(script)
        assert found, f"{name(page)}: {command}"
        return
    overrides = [word for word in overrides if word not in ADDED and not word.startswith("-")]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        compose(CONFIGS[script], [first(override) for override in overrides if not own(override)])


def own(override: str) -> bool:
    """Whether it names a language of the reader's own."""
    return "rexx" in override


def first(override: str) -> str:
    """Of a sweep's values the first."""
    parsed = OverridesParser.create().parse_override(override)
    if not parsed.is_sweep_override():
        return override
    return f"{parsed.get_key_element()}={next(iter(parsed.sweep_string_iterator()))}"


def test_the_diffs_of_changing_the_method_apply() -> None:
    """As a reader copies them: a block as it stands."""
    diffs = blocks(DOCS / "how-to/change-the-method.md", "diff")
    assert len(diffs) == 5
    for diff in diffs:
        command = ["git", "apply", "--check", "-"]
        done = subprocess.run(command, cwd=ROOT, input=diff, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + diff


def example(page: str, function: str) -> Any:
    """The function of that name in a page's Python."""
    (code,) = [code for code in blocks(DOCS / page, "python") if f"def {function}(" in code]
    module: dict[str, Any] = {}
    exec(code, module)
    return module[function]


@pytest.mark.parametrize("page", ["how-to/change-the-method.md", "tutorials/write-a-reward.md"])
def test_an_example_of_a_reward_is_one(page: str) -> None:
    problem = Problem("sum", "Print the sum.", (Test("1 2", "3"), Test("2 3", "5")))
    half = (TestResult(Status.PASSED), TestResult(Status.WRONG_OUTPUT))
    verdicts = [
        Verdict("a", Status.PASSED, (TestResult(Status.PASSED),) * 2),
        Verdict("b", Status.WRONG_OUTPUT, half),
        Verdict("c", Status.COMPILE_ERROR),
        Verdict("d", Status.INFRASTRUCTURE_ERROR),
    ]
    completion = Completion(0, [5], [-1.0], "text", True)
    group = [Rollout(problem, "prompt", [1], completion, "program", verdict) for verdict in verdicts]
    passed, wrong, broken, unknown = rewards_of([group], example(page, "reward"))
    assert passed == 1.0 and 0 < (wrong or 0) < 1 and broken == 0.0 and unknown is None


def test_the_example_of_a_loss_is_reinforce() -> None:
    """On policy its gradient is that of the built-in loss averaged over tokens, without correction."""
    generator = torch.Generator().manual_seed(0)
    start = -torch.rand(3, 5, generator=generator)  # [rows, tokens]
    mask = torch.rand(3, 5, generator=generator) < 0.7  # [rows, tokens]
    advantages = torch.tensor([1.0, -0.5, 0.25])  # [rows]
    config, size = LossConfig(variant="dapo", correction="none"), BatchSize(3, int(mask.sum()), 5)
    gradients = []
    for loss in (example("how-to/change-the-method.md", "loss"), policy_loss):
        logp = start.clone().requires_grad_()  # [rows, tokens]
        value, sums = loss(logp, start, start, advantages, mask, size, config)
        value.backward()
        gradients.append(logp.grad)
        assert {"clip_low", "ratio", "kl"} <= set(sums)
    torch.testing.assert_close(*gradients)


def test_the_quickstart_judges_a_program() -> None:
    (line,) = [line for block in blocks(DOCS / "quickstart.md", "sh") for line in block.splitlines() if "echo" in line]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "passed"

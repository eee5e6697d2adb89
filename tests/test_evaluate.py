"""evaluate.py as a user runs it: what it leaves behind, what it draws again after a stop, what it says of bad input."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from omegaconf import DictConfig

import evaluate
from base.errors import DataError, Interrupted, ModelError, RunError, UserError
from base.lock import locked
from benchmarks.scripted_endpoint import Raw, serve
from evaluate import Evaluation
from policy import pretrained
from tests.conftest import HELDOUT, command, composed, run
from tests.languages.test_languages import PAPER

SAMPLES = 12
# Small batches, so that a stop finds some answers drawn and some not. The tiny model knows only prompts with a prefix.
QUICK = (
    *("prefix=true", f"samples={SAMPLES}", "rollout.temperature=1.0", "rollout.max_new_tokens=64"),
    *("rollout.batch_size=4", "sandbox.workers=2"),
)


config_of = partial(composed, script="evaluate")


def began(config: DictConfig) -> Path:
    """The folder of an evaluation that has just begun."""
    evaluation = Evaluation.read(config)
    folder, settings = evaluate.results_folder(evaluation, None, evaluation.task())
    evaluate.begin(folder, settings)
    return folder


def table(folder: Path) -> list[dict[str, Any]]:
    return pq.read_table(folder / "samples.parquet").to_pylist()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, few: str) -> Path:
    """An evaluation that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    evaluate.run(config_of(*QUICK, few, f"run_dir={folder}"))
    return folder


def test_it_leaves_samples_scores_and_a_page(whole: Path) -> None:
    rows = table(whole)
    assert len(rows) == HELDOUT * SAMPLES == len({(row["problem"], row["sample"]) for row in rows})
    scores = json.loads((whole / "scores.json").read_text())
    passed = sum(row["verdict"] == "passed" for row in rows)
    assert scores["pass@1"]["value"] == pytest.approx(passed / len(rows))
    assert scores["pass@1"]["value"] < scores["pass@5"]["value"]
    assert "pass@20" not in scores  # of 12 samples
    assert sum(row["passed"] for row in scores["per_problem"]) == passed
    assert scores["protocol"]["samples"] == SAMPLES and scores["seconds"] > 0
    assert {path.name for path in whole.iterdir()} == {
        "config.yaml", "versions.json", "samples.parquet", "scores.json", "scores.md",
    }  # fmt: skip
    page = (whole / "scores.md").read_text()
    assert "| pass@1, % [95 % interval] |" in page
    for row in rows:
        if row["failed_test"] is None:
            assert row["verdict"] in ("passed", "no_program", "compile_error")
        else:
            assert row["failed_test"] == row["tests_passed"] and row["failed_input"] and row["expected"]
    wrong = [row for row in rows if row["verdict"] == "wrong_output"]
    assert wrong and all(row["got"].split() != row["expected"].split() for row in wrong)
    assert all(row["problem"] in page for row in rows)


def test_the_language_is_named_and_not_explained(few: str) -> None:
    for overrides, explained in (((), False), (("protocol=heldout",), True)):
        task = Evaluation.read(evaluate.as_in_training(config_of(few, *overrides))).task()
        prompt = json.dumps(task.prompt(task.problems[0]))
        assert "Lua program" in prompt and ("LuaJIT" in prompt) == explained


def test_prompts_in_ones_own_words_are_in_the_results_with_their_hashes(few: str, tmp_path: Path) -> None:
    words = (
        "In {{ language|lower }}:\n{{ statement }}\n{% for e in examples %}{{ e.input }}->{{ e.output }}{% endfor %}\n"
    )
    (tmp_path / "words.jinja").write_text(words)
    config = config_of(*QUICK, few, f"prompt.template={tmp_path}/words.jinja", f"run_dir={tmp_path}/out")
    found = evaluate.run(config)
    task = Evaluation.read(config).task()
    hashes = []
    for problem in task.problems:
        test = problem.tests[0]
        text = f"In lua:\n{problem.statement}\n{test.input}->{test.output}\n"
        assert task.prompt(problem) == [{"role": "user", "content": text}]
        hashes.append(hashlib.sha256(text.encode()).hexdigest())
    assert {row["problem"]: row["prompt_sha256"] for row in table(tmp_path / "out")} == dict(
        zip([problem.id for problem in task.problems], hashes, strict=True)
    )
    assert found["prompts_sha256"] == hashlib.sha256("".join(hashes).encode()).hexdigest()
    assert found["protocol"]["template"] == hashlib.sha256(words.encode()).hexdigest()
    (tmp_path / "words.jinja").write_text("Other words: {{ statement }}")
    with pytest.raises(RunError, match="prompts"):
        evaluate.run(config)


def test_the_same_command_asks_the_model_nothing_again(whole: Path, few: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "open_source", lambda *_: pytest.fail("a model was opened"))
    before = (whole / "samples.parquet").read_bytes()
    again = evaluate.run(config_of(*QUICK, few, f"run_dir={whole}"))
    assert again["pass@1"] == json.loads((whole / "scores.json").read_text())["pass@1"]
    assert (whole / "samples.parquet").read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda n: n.name)
def test_a_stopped_evaluation_goes_on_exactly(number: signal.Signals, whole: Path, few: str, tmp_path: Path) -> None:
    arguments = (*QUICK, few, f"run_dir={tmp_path}")
    with subprocess.Popen(command(*arguments, script="evaluate.py"), stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 300
        while not list(tmp_path.glob("samples/part_*.parquet")):
            assert process.poll() is None and time.monotonic() < deadline, "it ended early"
            time.sleep(0.01)
        process.send_signal(number)
        _, said = process.communicate(timeout=120)
    assert not (tmp_path / "scores.json").exists()
    if number == signal.SIGINT:
        assert process.returncode == 1 and "the same command goes on" in said and "Traceback" not in said
    kept = evaluate.Samples(tmp_path).rows
    assert 0 < len(kept) < HELDOUT * SAMPLES
    evaluate.run(config_of(*arguments))
    assert pq.read_table(tmp_path / "samples.parquet").equals(pq.read_table(whole / "samples.parquet"))


def test_what_has_no_verdict_is_verified_and_not_drawn_again(
    whole: Path, few: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pq.read_table(whole / "samples.parquet").to_pylist()
    rows[0]["verdict"], rows[1]["verdict"] = None, "infrastructure_error"
    config = config_of(*QUICK, few, f"run_dir={tmp_path}")
    began(config)
    samples = evaluate.Samples(tmp_path)
    for row in rows:
        samples.add(row)
    samples.finish()
    monkeypatch.setattr(evaluate, "open_source", lambda *_: pytest.fail("a model was opened"))
    evaluate.run(config)
    assert pq.read_table(tmp_path / "samples.parquet").equals(pq.read_table(whole / "samples.parquet"))


def test_other_settings_are_not_mixed_in(whole: Path, few: str) -> None:
    with pytest.raises(RunError, match=r"temperature \(1\.0 there, 0\.5 here\)"):
        evaluate.run(config_of(*QUICK, few, "rollout.temperature=0.5", f"run_dir={whole}"))


def test_what_failed_before_any_answer_is_forgotten(few: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that mends it is another one: it must not find the folder taken."""

    def fail(_: object, __: object, ___: object, folder: Path) -> None:
        if folder.name == "some":
            (folder / "samples").mkdir()
        raise ModelError("there is no such model")

    monkeypatch.setattr(evaluate, "score_of", fail)
    for name in ("none", "some"):
        with pytest.raises(ModelError):
            evaluate.run(config_of(few, f"run_dir={tmp_path}/{name}"))
    assert not (tmp_path / "none").exists()
    assert (tmp_path / "some/config.yaml").is_file() and (tmp_path / "some/versions.json").is_file()


def test_problems_with_long_prompts_are_left_out_where_the_user_says_so(tmp_path: Path) -> None:
    tests = [{"input": "1", "output": "1"}]
    lengths = {"short": 1, "long": 400}
    lines = (json.dumps({"id": name, "statement": "word " * n, "tests": tests}) for name, n in lengths.items())
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    data = ("dataset=jsonl", "dataset.train=x", f"dataset.heldout={tmp_path}/rows.jsonl")
    words = (*data, *QUICK, "samples=1", "rollout.max_prompt_tokens=350", f"run_dir={tmp_path}/run")
    with pytest.raises(DataError, match=r"1 problem with a prompt longer .*'long'.*set prompts_too_long=drop"):
        evaluate.run(config_of(*words))
    with pytest.raises(DataError, match=r"'short' \(.*, which leaves none: raise it$"):
        evaluate.run(config_of(*words, "prompts_too_long=drop", "rollout.max_prompt_tokens=9"))
    found = evaluate.run(config_of(*words, "prompts_too_long=drop"))
    assert found["unanswered"] == 0 and [row["problem"] for row in table(tmp_path / "run")] == ["short"]


def test_ctrl_c_while_the_model_loads_is_a_sentence(few: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "open_source", stopped)
    with pytest.raises(Interrupted, match=r"0 of \d+ answers are kept"):
        evaluate.run(config_of(*QUICK, few, f"run_dir={tmp_path}/run"))


def test_equal_settings_and_data_have_one_folder(few: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def folder(*overrides: str) -> Path:
        return began(config_of(*overrides))

    first = folder(few)
    assert first.parent == Path("scores") and first.name.startswith("starter-lua-tiny-")
    assert folder(few, "sandbox.workers=1", "k=[1]") == first
    assert folder(few, "seed=1") != first
    rows = Path(few.partition("=")[2]).read_text()
    changed = tmp_path / "heldout.jsonl"
    changed.write_text(rows)
    same = folder(f"dataset.heldout={changed}")
    changed.write_text(rows.replace('"output": "', '"output": "1'))
    assert folder(f"dataset.heldout={changed}") != same


def test_a_language_may_hold_what_looks_like_an_interpolation(
    few: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shell.yaml").write_text("prompt: 'Use ${x:-1}'\nfilename: a.sh\nexecute: 'sh a.sh ${x:-1}'\n")
    monkeypatch.setenv("AGNOSTICS_LANGUAGES", str(tmp_path))
    config = config_of(few, "language=shell", f"run_dir={tmp_path}/out")
    assert Evaluation.read(config).task().language.execute == "sh a.sh ${x:-1}"
    for _ in range(2):
        began(config)


def test_the_papers_own_language_file_as_it_is(few: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its keys only: the program runs by its lines, in a root made by its install line; the paper's harness judges."""
    (tmp_path / "languages").mkdir()
    (tmp_path / "languages/lua.yaml").write_text(PAPER["lua"])
    (tmp_path / "words.jinja").write_text("{{ statement }}\n\nIn {{ language|lower }}, please. {{ prefix }}")
    rows = [
        {"id": "sum", "statement": "Add.", "tests": [{"input": "2 3", "output": "5"}]},
        {"id": "name", "statement": "Name the file.", "tests": [{"input": "", "output": "LuaJIT snippet.lua"}]},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setenv("AGNOSTICS_LANGUAGES", str(tmp_path / "languages"))
    answers = {"Add.": "print(io.read('*n') + io.read('*n'))", "Name the file.": "print((jit and 'LuaJIT ') .. arg[0])"}

    def answer(request: dict[str, Any]) -> str:
        asked = request["messages"][-1]["content"].split("\n")[0]
        return f"```\n{answers[asked]}\n```"

    with serve(answer) as server:
        config = config_of(
            "protocol=ag_lcb_x", "model=endpoint", f"model.base_url={server.url}", "model.name=scripted",
            "dataset=jsonl", "dataset.train=x", f"dataset.heldout={tmp_path}/rows.jsonl", "samples=1",
            f"prompt.template={tmp_path}/words.jinja", f"run_dir={tmp_path}/out",
        )  # fmt: skip
        found = evaluate.run(config)
        asked = {request["messages"][-1]["content"] for request in server.requests}
    assert asked == {f"{row['statement']}\n\nIn lua, please. " for row in rows}
    assert found["pass@1"]["value"] == 1.0, table(tmp_path / "out")


def test_multipl_e_from_the_command_line(tmp_path: Path) -> None:
    row: dict[str, Any] = {
        "name": "Ours_0_one",
        "prompt": "-- Return 1.\nlocal function one()\n",
        "tests": "lu = require('luaunit')\nfunction test_a() lu.assertEquals(one(), 1) end\nos.exit(lu.LuaUnit.run())",
        "stop_tokens": ["\nlocal", "\n\n"],
    }
    (tmp_path / "humaneval-lua.jsonl").write_text(json.dumps(row) + "\n")
    found = evaluate.run(config_of(*QUICK, "dataset=multipl_e", f"dataset.path={tmp_path}", f"run_dir={tmp_path}/out"))
    assert (found["dataset"], found["problems"], found["samples"]) == ("multipl_e-humaneval", 1, SAMPLES)
    for drawn in table(tmp_path / "out"):
        assert drawn["prompt"] == row["prompt"].strip()
        assert drawn["program"].startswith(row["prompt"]) and drawn["program"].endswith(row["tests"])


def lua(request: dict[str, Any]) -> str | list[str] | Raw:
    """Answers to the starter's problems: one right for every problem that wants a sum, one garbled, a refusal."""
    text = request["messages"][-1]["content"]
    if "palindrome" in text:
        return Raw(400, b"too long")
    return ["```lua\nprint(io.read('*n') + io.read('*n'))\n```", "half a \ud83d pair", "```lua\nprint("][: request["n"]]


def test_a_model_behind_an_endpoint(tmp_path: Path, few: str) -> None:
    rows = [
        {"id": name, "statement": f"Do {name}.", "tests": [{"input": "2 3", "output": "5"}]}
        for name in ("sum", "palindrome", "difference")
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with serve(lua) as server:
        overrides = (
            "model=endpoint", f"model.base_url={server.url}", "model.name=scripted", "dataset=jsonl",
            "dataset.train=x", f"dataset.heldout={path}", "samples=3", f"run_dir={tmp_path}/out",
        )  # fmt: skip
        found = evaluate.run(config_of(*overrides))
        asked = len(server.requests)
        assert {request["max_tokens"] for request in server.requests} == {1024}
        evaluate.run(config_of(*overrides))  # asks only for what was refused
        assert all("palindrome" in request["messages"][-1]["content"] for request in server.requests[asked:])
    assert found["unanswered"] == 3
    assert [(row["problem"], row["passed"], row["samples"]) for row in found["per_problem"]] == [
        ("difference", 1, 3),
        ("sum", 1, 3),
    ]
    assert found["verdicts"] == pytest.approx({"passed": 1 / 3, "no_program": 2 / 3})
    assert (tmp_path / "out" / "chat.jsonl").is_file()


def test_an_endpoint_that_is_down_is_one_sentence(tmp_path: Path, few: str) -> None:
    config = config_of(
        "model=endpoint", "model.base_url=http://127.0.0.1:9/v1", "model.name=m", few, f"run_dir={tmp_path}"
    )
    with pytest.raises(UserError, match=r"model\.base_url: no server answers at http://127\.0\.0\.1:9/v1"):
        evaluate.run(config)


def test_an_endpoint_cannot_continue_a_bare_text(tmp_path: Path) -> None:
    row = {"name": "a", "prompt": "f(", "tests": "t", "stop_tokens": ["\n"]}
    (tmp_path / "humaneval-lua.jsonl").write_text(json.dumps(row) + "\n")
    config = config_of(
        "model=endpoint", "model.base_url=http://127.0.0.1:9/v1", "model.name=m", "dataset=multipl_e",
        f"dataset.path={tmp_path}", f"run_dir={tmp_path}",
    )  # fmt: skip
    with pytest.raises(DataError, match=r"dataset\.style=chat"):
        evaluate.run(config)


def test_main_turns_an_error_into_a_sentence(tmp_path: Path) -> None:
    done = run("dataset=jsonl", "dataset.train=x", "dataset.heldout=/no/file", script="evaluate.py")
    assert done.returncode == 1 and "/no/file" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("file", ["model.safetensors", "chat_template.jinja"])
def test_scores_belong_to_weights_and_not_to_paths(file: str, few: str, tmp_path: Path) -> None:
    (tmp_path / file).write_bytes(b"of today")
    config = config_of(few, f"model.path={tmp_path}", f"run_dir={tmp_path}/out")
    began(config)
    began(config)  # the same weights: the same evaluation
    (tmp_path / file).write_bytes(b"another at the same path")
    with pytest.raises(RunError, match=rf"belongs to another weights\.{file}"):
        began(config)


def test_adapters_are_of_their_base_and_a_hub_id_of_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, adapters = tmp_path / "base", tmp_path / "adapters"
    for path in (base / "model.safetensors", adapters / "adapter_config.json"):
        path.parent.mkdir()
        path.touch()
    local = evaluate.weights(Evaluation.read(config_of(f"model.path={base}")).model, adapters)
    assert local["weights"].keys() == {"adapter_config.json"} and local["base"].keys() == {"model.safetensors"}

    monkeypatch.setattr(pretrained.hub, "settle", str)
    monkeypatch.setattr(pretrained, "cached_file", lambda *_: "/cache/models--me--m/snapshots/0123/config.json")
    of_hub = evaluate.weights(Evaluation.read(config_of("model.path=me/m")).model, None)
    assert of_hub == {"weights": {"commit": "0123"}, "base": None}
    assert "tiny-" in evaluate.weights(Evaluation.read(config_of()).model, None)["weights"]["built"]


def test_a_folder_of_before_with_fewer_notes_is_not_refused(few: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "config.json").touch()
    config = config_of(few, f"model.path={tmp_path}", f"run_dir={tmp_path}/out")
    path = began(config) / "config.yaml"
    noted = yaml.safe_load(path.read_text())
    del noted["base"], noted["weights"]["config.json"]
    path.write_text(yaml.safe_dump(noted))
    began(config)
    path.write_text(yaml.safe_dump(noted | {"weights": {}}))  # as of a hub id, or of a model that is built here
    began(config)
    path.write_text(yaml.safe_dump(noted | {"weights": {"model.safetensors": "1 bytes, 0 ns"}}))
    with pytest.raises(RunError, match=r"belongs to another weights\.model\.safetensors"):
        began(config)


def test_two_evaluations_at_once_in_one_folder_are_told(few: str, tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(RunError, match=r"is in use by process \d+ on "):
        evaluate.run(config_of(*QUICK, few, f"run_dir={tmp_path}"))
    assert not (tmp_path / "config.yaml").exists()

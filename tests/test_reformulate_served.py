"""reformulate.py with a real model behind a real server: vLLM's, with SmolLM2-135M, which is far too small for it.

So nearly every answer must be refused, and each refusal must be right, which is checked here by other means.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from policy.builtin import smollm2
from tests.conftest import run
from tests.problems.reformulation import rows

NAME = "smollm2-135m"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of vLLM's server."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    log = tmp_path_factory.mktemp("vllm") / "server.log"
    words = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(smollm2.ensure())]
    words += ["--served-model-name", NAME, "--host", "127.0.0.1", "--port", str(port)]
    words += ["--max-model-len", "4096", "--max-num-seqs", "8", "--dtype", "float32", "--enforce-eager"]
    env = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_HOST_IP": "127.0.0.1"}
    with open(log, "wb") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out, env=env)
    try:
        deadline = time.monotonic() + 600
        while True:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
                break
            except OSError:
                time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.slow
def test_a_small_model_is_refused_for_good_reasons(server: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    data = rows.write(tmp_path / "mbpp.jsonl")
    words = [f"dataset.path={data}", f"model.base_url={server}", f"model.name={NAME}", f"run_dir={folder}"]
    words += ["model.request={seed: null}"]  # dies of it: CPU Generator does not use offset
    words += ["model.concurrency=4", "rollout.max_new_tokens=600", "attempts=2", "rollout.temperature=0.2"]
    done = run(*words, script="reformulate.py")
    assert done.returncode == 0, done.stderr
    report = json.loads((folder / "report.json").read_text())
    assert report["tasks"] == 7 and report["open"] == {}
    assert report["dropped_by_reason"]["source"] == 2
    assert report["kept"] <= 1

    chat = [json.loads(line) for line in (folder / "chat.jsonl").read_text().splitlines()]
    answers = {json.dumps(row["request"]["messages"]): row["answer"]["choices"][0] for row in chat if "answer" in row}
    for row in map(json.loads, (folder / "rows.jsonl").read_text().splitlines()):
        for number, refusal in enumerate(row["refusals"]):
            if refusal["reason"] == "source":
                continue
            choice = answer_of(answers, row["id"], number)
            assert_right(refusal, choice["message"]["content"], choice["finish_reason"])


def answer_of(answers: dict[str, dict[str, Any]], task: str, number: int) -> dict[str, Any]:
    solution = rows.ROWS[int(task) - 1]["code"].replace("\r\n", "\n")
    for asked, choice in answers.items():
        messages = json.loads(asked)
        if solution in messages[0]["content"] and len(messages) == 1 + 2 * number:
            return choice
    raise AssertionError(f"no answer {number} to task {task}")


def assert_right(refusal: dict[str, str], text: str, finish_reason: str) -> None:
    """Whether an answer has what it is refused for, found in another way than reformulate.py's."""
    objects = [found for found in map(decoded, re.findall(r"\{.*\}", text, re.DOTALL)) if isinstance(found, dict)]
    match refusal["reason"]:
        case "cut_off":
            assert finish_reason == "length"
        case "no_json":
            assert not any("description" in found for found in objects)
        case "schema":
            assert objects or '"' in text
        case "test_count":
            count = re.search(r"there are (\d+) tests", refusal["detail"])
            assert count and int(count[1]) <= text.count('"input"')
        case "python_terms":
            term = re.search(r"'(.+?)'", refusal["detail"])
            assert term and term[1] in text.replace("\\n", "\n")


def decoded(text: str) -> object:
    try:
        return json.loads(text, strict=False)
    except ValueError:
        return None

"""No hub: known within seconds, said in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from tests.conftest import ROOT

ASK = "import sys; from base import hub; print(hub.settle()); import datasets; print(datasets.config.HF_HUB_OFFLINE)"


def test_a_hub_that_cannot_be_reached_is_known_at_once() -> None:
    start = time.monotonic()
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env=environment | {"HF_ENDPOINT": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert done.stdout.split("\n")[:2] == ["http://127.0.0.1:9 cannot be reached: Connection refused", "True"]
    assert time.monotonic() - start < 30

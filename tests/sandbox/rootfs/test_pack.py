"""Roots as files: packed here, served by a web server of this machine, imported into an empty cache, and run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import languages
from sandbox import rootfs
from sandbox.job import Job, Test
from sandbox.pool import Pool
from sandbox.rootfs.__main__ import main


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if not self.path.startswith("/cut/"):
            super().do_GET()
            return
        content = Path(self.directory, self.path.removeprefix("/cut/")).read_bytes()  # half of it, in one chunk of two
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n" % (len(content)) + content[: len(content) // 2])
        self.close_connection = True


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("packed") / "lua.tar.gz"
    assert main(["pack", "language=lua", f"out={file}"]) == 0
    return file


@pytest.fixture
def address(packed: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(packed.parent)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGNOSTICS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/rootfs"


def test_a_root_comes_by_its_address_and_runs_programs(
    cache: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):  # once more changes nothing
        assert main(["import", f"{address}/lua.tar.gz"]) == 0
        root = Path(capsys.readouterr().out.strip())
        assert root.is_relative_to(cache) and rootfs.ensure(languages.load("lua")).path == root
    with Pool([languages.load("lua")], workers=1) as pool:
        (verdict,) = pool.verify([Job("x", "lua", "print(io.read('n') + 1)", (Test("41\n", "42"),))])
    assert verdict.passed


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("absent.tar.gz", "404"),
        ("cut/lua.tar.gz", "."),
        ("text.tar", "."),
    ],
)
def test_what_is_no_root_is_one_sentence_and_leaves_nothing(
    cache: Path, packed: Path, address: str, capsys: pytest.CaptureFixture[str], name: str, why: str
) -> None:
    packed.with_name("text.tar").write_text("a page that says that you have to log in")
    assert main(["import", f"{address}/{name}"]) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith(f"{address}/{name} is no packed root (") and why in said
    assert list(cache.glob("[!.]*")) == list(cache.glob(".import*")) == []


def test_an_address_where_nobody_listens_is_one_sentence(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "http://127.0.0.1:9/lua.tar"]) == 1
    assert "refused" in capsys.readouterr().err


def test_a_root_of_another_language_file_is_refused(
    cache: Path, address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.rootfs.recipes_of", lambda language: ([], ""))  # it asks for something else
    assert main(["import", f"{address}/lua.tar.gz"]) == 1
    assert "pack it with the same language file" in capsys.readouterr().err

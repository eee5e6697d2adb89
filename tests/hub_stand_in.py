"""A local stand-in for the hub's HTTP API, as far as creating a repository, uploading a folder and reading a data set
need it.

Large files go by git-lfs's batch protocol, small ones within the commit, as on the hub without Xet.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".bin")


class Hub:
    """`repositories` are those created: name -> {kind, private}; `files` what is in them: (name, path) -> bytes.

    `read`: the paths of files that were downloaded, one for each time.
    """

    def __init__(self, token: str) -> None:
        self.repositories: dict[str, dict[str, Any]] = {}
        self.files: dict[tuple[str, str], bytes] = {}
        self.objects: dict[str, bytes] = {}  # by SHA-256
        self.read: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers["Authorization"] != f"Bearer {token}":
                    self.answer(401, {"error": "Invalid credentials"})
                else:
                    self.answer(200, outer.post(self.path.partition("?")[0], body))

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                path = unquote(self.path.partition("?")[0])
                match path.strip("/").split("/"):
                    case ["datasets", owner, name, "resolve", _, *file]:
                        self.give(f"{owner}/{name}", "/".join(file))
                    case _:
                        found = outer.get(path)
                        self.answer(*((200, found) if found is not None else (404, {"error": "not found"})))

            def give(self, name: str, file: str) -> None:
                content = outer.files.get((name, file))
                if content is None:
                    self.answer(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
                    return
                first, _, last = (self.headers["Range"] or "bytes=0-").removeprefix("bytes=").partition("-")
                end = min(int(last) + 1, len(content)) if last else len(content)
                if self.command == "GET":
                    outer.read.append(file)
                self.send_response(206 if self.headers["Range"] else 200)
                etag = hashlib.sha256(content).hexdigest()
                headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
                headers |= {"Content-Length": str(end - int(first))}
                headers |= {"Content-Range": f"bytes {first}-{end - 1}/{len(content)}"}
                for key, value in headers.items():
                    self.send_header(key, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content[int(first) : end])

            def do_PUT(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                name = self.path.rpartition("/")[2]
                assert hashlib.sha256(data).hexdigest() == name
                outer.objects[name] = data
                self.answer(200, {})

            def answer(self, status: int, found: Any, headers: dict[str, str] | None = None) -> None:
                content = json.dumps(found).encode()
                self.send_response(status)
                for key, value in (headers or {}).items():
                    self.send_header(key, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def get(self, path: str) -> Any:
        """None: there is no such thing."""
        match path.strip("/").split("/"):
            case [""]:
                return {}
            case ["api", "datasets", owner, name, *rest] if f"{owner}/{name}" in self.repositories:
                files = self.of(f"{owner}/{name}")
                if rest[:1] == ["tree"]:
                    under = "".join(f"{part}/" for part in rest[2:])
                    return [file for file in files if file["path"].startswith(under)]
                siblings = [{"rfilename": file["path"]} for file in files]
                return {"id": f"{owner}/{name}", "sha": COMMIT, "private": False, "siblings": siblings, "tags": []}
        return None

    def of(self, name: str) -> list[dict[str, Any]]:
        """The files of a repository."""
        files = [(path, content) for (owner, path), content in self.files.items() if owner == name]
        return [
            {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
            for path, content in files
        ]

    def post(self, path: str, body: bytes) -> Any:
        match path.strip("/").split("/"):
            case ["api", "repos", "create"]:
                asked = json.loads(body)
                name = f"{asked['organization']}/{asked['name']}"
                private = asked.get("visibility") == "private" or asked.get("private", False)
                self.repositories[name] = {"kind": asked.get("type", "model"), "private": private}
                return {"url": f"{self.url}/{name}", "name": name}
            case ["api", "validate-yaml"]:
                return {"errors": [], "warnings": []}
            case ["api", _, owner, name, "preupload", "main"] if f"{owner}/{name}" in self.repositories:
                files = [{**f, "uploadMode": "lfs" if f["path"].endswith(LARGE) else "regular", "shouldIgnore": False}
                         for f in json.loads(body)["files"]]  # fmt: skip
                return {"files": files}
            case [*_, "info", "lfs", "objects", "batch"]:
                uploads = [
                    {**item, "actions": {"upload": {"href": f"{self.url}/lfs/{item['oid']}"}}}
                    for item in json.loads(body)["objects"]
                ]
                return {"transfer": "basic", "objects": uploads}
            case ["api", _, owner, name, "commit", "main"] if f"{owner}/{name}" in self.repositories:
                for line in body.splitlines():
                    entry = json.loads(line)
                    value = entry["value"]
                    if entry["key"] == "file":
                        self.files[f"{owner}/{name}", value["path"]] = base64.b64decode(value["content"])
                    elif entry["key"] == "lfsFile":
                        self.files[f"{owner}/{name}", value["path"]] = self.objects[value["oid"]]
                return {"commitUrl": f"{self.url}/{owner}/{name}/commit/abc", "commitOid": "abc"}
            case ["api", _, owner, name, "paths-info", _] if f"{owner}/{name}" in self.repositories:
                asked = parse_qs(body.decode())["paths"]
                return [file for file in self.of(f"{owner}/{name}") if file["path"] in asked]
        raise AssertionError(f"the stand-in knows no {path}")


@contextmanager
def serve_hub(token: str) -> Iterator[Hub]:
    hub = Hub(token)
    thread = threading.Thread(target=hub.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.server.shutdown()
        hub.server.server_close()
        thread.join()

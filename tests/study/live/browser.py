"""Headless Chromium over its DevTools protocol: what a page looks like, what it says on the console, what keys do."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
START_S = 60.0


class Browser:
    """One tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket, self.ids = socket, itertools.count(1)
        self.said: list[str] = []  # errors and warnings of the console
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self.ids)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv(timeout=START_S))
            if message.get("id") == number:
                assert "error" not in message, message
                found: dict[str, Any] = message["result"]
                return found
            self._event(message)

    def _event(self, message: dict[str, Any]) -> None:
        if message.get("method") == "Log.entryAdded":
            self.said.append(str(message["params"]["entry"]))
        if message.get("method") == "Runtime.exceptionThrown":
            self.said.append(str(message["params"]["exceptionDetails"]))
        if message.get("method") == "Runtime.consoleAPICalled" and message["params"]["type"] in ("error", "warning"):
            self.said.append(str(message["params"]["args"]))

    def open(self, url: str, width: int = 1400, dark: bool = False) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=1000, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=url)
        self.wait(f"document.readyState == 'complete' && location.href == {json.dumps(url)}")

    def value(self, expression: str) -> Any:
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def wait(self, expression: str, seconds: float = 20.0) -> float:
        """Seconds until the expression was true."""
        began = time.monotonic()
        while not self.value(expression):
            assert time.monotonic() - began < seconds, f"never true: {expression}"
            time.sleep(0.05)
        return time.monotonic() - began

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, text=key if len(key) == 1 and kind[3] == "D" else ""
            )

    def shot(self, path: Path) -> None:
        data = self.call("Page.captureScreenshot", captureBeyondViewport=False)["data"]
        path.write_bytes(base64.b64decode(data))


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    assert PROGRAM is not None
    words = [PROGRAM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    words += [f"--user-data-dir={profile}", "--remote-debugging-port=0", "--remote-allow-origins=*", "about:blank"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            port = profile / "DevToolsActivePort"
            began = time.monotonic()
            while not port.exists() or len(port.read_text().split()) < 2:
                assert time.monotonic() - began < START_S and process.poll() is None, "Chromium does not start"
                time.sleep(0.1)
            number, path = port.read_text().split()
            with connect(f"ws://127.0.0.1:{number}{path}", max_size=None, proxy=None) as root:
                root.send(json.dumps({"id": 1, "method": "Target.createTarget", "params": {"url": "about:blank"}}))
                target = json.loads(root.recv(timeout=START_S))["result"]["targetId"]
                tab = f"ws://127.0.0.1:{number}/devtools/page/{target}"
                with connect(tab, max_size=None, proxy=None) as socket:
                    yield Browser(socket)
        finally:
            process.terminate()

"""A root from a container engine, by the docker SDK: build an image, export it as a tar stream, keep nothing.

Anything that serves docker's API will do (docker, podman, a remote engine in DOCKER_HOST). No program ever runs in a
container: the engine only builds; the jail runs the exported files.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import IO, Any

import docker
import docker.errors
import requests

PING_S = 5  # seconds: an engine that needs longer to say hello does not answer
BUILD_S = 3600  # seconds without a sign of life from a build or an export


class EngineError(Exception):
    """The engine answered but could not build or export; one sentence and its last lines."""


def dockerfile(base_image: str, install: str | None, instructions: str | None) -> str:
    """The Dockerfile of a language: a shell line becomes a RUN, instructions stand as they are."""
    lines = [f"FROM {base_image}"]
    if instructions is not None:
        lines.append(instructions.strip("\n"))
    elif install:
        # Images come without package lists; a user set by the base image may not install.
        lines += [
            "USER root",
            f"RUN export DEBIAN_FRONTEND=noninteractive; apt-get update && {_one_line(install)}",
        ]
    return "\n".join(lines) + "\n"


def _one_line(shell: str) -> str:
    return " && ".join(line.strip() for line in shell.splitlines() if line.strip())


def answers() -> str | None:
    """None where a container engine answers (DOCKER_HOST respected), else why not, in a few words."""
    try:
        with contextlib.closing(docker.from_env(timeout=PING_S)) as client:
            client.ping()
        return None
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        return _short(error)


@contextlib.contextmanager
def image_as_tar(recipe: str, tag: str, report: Callable[[str], None]) -> Iterator[tuple[IO[bytes], dict[str, str]]]:
    """Builds the Dockerfile `recipe`; yields the tar stream of its files and its environment variables.

    The container (never started) and the image are removed at the end; base images stay. Raises EngineError.
    """
    client = docker.from_env(timeout=BUILD_S)
    container = None
    try:
        _build(client, recipe, tag, report)
        env = client.api.inspect_image(tag)["Config"].get("Env") or []
        container = client.api.create_container(tag, command=["true"])["Id"]
        report("exporting the image")
        stream = io.BufferedReader(_Chunks(client.api.export(container)), 1 << 20)
        yield stream, dict(entry.split("=", 1) for entry in env if "=" in entry)
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise EngineError(f"the container engine failed: {_short(error)}") from error
    finally:
        with contextlib.suppress(docker.errors.DockerException, requests.RequestException):
            if container is not None:
                client.api.remove_container(container, force=True)
        with contextlib.suppress(docker.errors.DockerException, requests.RequestException):
            client.api.remove_image(tag, force=True)
        client.close()


def _build(client: docker.DockerClient, recipe: str, tag: str, report: Callable[[str], None]) -> None:
    # Host network: a build only fetches packages, and must reach what the host reaches.
    events = client.api.build(
        fileobj=io.BytesIO(recipe.encode()), tag=tag, rm=True, forcerm=True, decode=True, network_mode="host"
    )
    last: deque[str] = deque(maxlen=8)
    for event in events:
        if "error" in event:
            lines = "\n  ".join([*last, event["error"].strip()])
            raise EngineError(f"the container engine could not build the image:\n  {lines}")
        line = (event.get("stream") or event.get("status") or "").strip()
        last.extend(line.splitlines())
        if re.match(r"(?i)step \d+|pulling|download complete|get:|setting up|unpacking", line):
            report(line.splitlines()[0][:100])


class _Chunks(io.RawIOBase):
    """A generator of byte strings as a readable file."""

    def __init__(self, chunks: Any):
        self._chunks, self._rest = iter(chunks), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            try:
                self._rest = next(self._chunks)
            except StopIteration:
                return 0
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if "No such file or directory" in text or "Connection refused" in text:
        return "no engine listens on docker's socket"
    return text[:300]

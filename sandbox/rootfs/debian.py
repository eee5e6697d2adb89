"""A Debian root without a container engine: mmdebstrap, from the machine's own Debian mirror, as a tar stream.

What all roots of a suite have in common is made once, a tar file; each root is that base and packages on top of it,
which takes half the time.

Only what can be promised without running an image's instructions: a Debian suite plus packages. An install line that
says more than `apt-get install -y PACKAGE ...` is refused, never guessed at.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from base.files import replacing

DEFAULT_MIRROR = "http://deb.debian.org/debian"  # only where the machine has none configured
NUMBERED_SUITES = {"10": "buster", "11": "bullseye", "12": "bookworm", "13": "trixie", "14": "forky"}
PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
BASE_IMAGE = re.compile(r"(?:docker\.io/)?(?:library/)?debian:(?P<suite>[a-z]+|\d+)(?:\.\d+|-slim|-\d{8}(?:-slim)?)?")
UNTOLD = tuple(
    f"I: {word}"
    for word in (
        *("automatically", "chroot arch", "finding", "using", "removing", "success", "done", "nothing", "no essential"),
        *("running special", "skipping"),
    )
)
# Where nothing can be mounted: a file in the place of null, and a yes to who asks whether /proc is mounted, without
# which no JDK is configured. Nothing of /dev reaches the tar.
STAND_INS = (
    'if [ ! -e "$1/proc/self" ]; then mkdir -p "$1/dev/bin" && touch "$1/dev/null" && chmod 666 "$1/dev/null" && '
    'ln -s /bin/true "$1/dev/bin/mountpoint"; fi;'
)
QUIET_OPTIONS = ("-y", "-yq", "-qy", "-q", "-qq", "-yqq", "-qqy", "--yes", "--assume-yes", "--quiet")


_running: set[subprocess.Popen[bytes]] = set()


class DebianError(Exception):
    """mmdebstrap is missing, may not run here, or failed; one sentence and its lines that say why."""


@dataclass(frozen=True)
class Packages:
    """What `apt-get install` was asked for."""

    names: tuple[str, ...] = ()
    recommends: bool = True  # apt's default, as in Debian's container images


def suite_of(base_image: str) -> str | None:
    """`debian:trixie-slim`, `docker.io/library/debian:13` -> `trixie`; None for any other image."""
    match = BASE_IMAGE.fullmatch(base_image)
    if match is None:
        return None
    suite = NUMBERED_SUITES.get(match["suite"], match["suite"])
    return None if suite.isdigit() or suite == "latest" else suite


def parse_install(line: str | None) -> Packages:
    """The packages of an install line. Raises ValueError, saying what is wrong, for any but `apt-get install`."""
    if not line:
        return Packages()
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise ValueError(f"it is no shell line ({error})") from error
    if words[:3] == ["apt-get", "update", "&&"]:
        words = words[3:]
    if words[:1] not in (["apt-get"], ["apt"]) or "install" not in words:
        raise ValueError("it does more than `apt-get install`")
    before = words[1 : words.index("install")]
    names, recommends = [], True
    for word in before + words[words.index("install") + 1 :]:
        if word == "--no-install-recommends":
            recommends = False
        elif word in QUIET_OPTIONS:
            continue
        elif PACKAGE.fullmatch(word) and word not in before:
            names.append(word)
        else:
            raise ValueError(
                f"{word!r} is neither a package name nor one of the options -y, -q, --no-install-recommends"
            )
    if not names:
        raise ValueError("it names no package")
    return Packages(tuple(names), recommends)


def mirror(sources: Path = Path("/etc/apt")) -> str:
    """The Debian mirror that this machine's apt uses, else Debian's own."""
    for path in [sources / "sources.list", *sorted((sources / "sources.list.d").glob("*"))]:
        if path.suffix in (".list", ".sources") and path.is_file():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                match = re.match(r"\s*(?:deb\s+(?:\[[^]]*\]\s*)?|URIs:\s*)(\S+?)/?(?:\s|$)", line)
                if match and match[1].endswith("/debian"):
                    return match[1]
    return DEFAULT_MIRROR


def _proxies() -> list[str]:
    """apt's proxy settings on this machine, as options of mmdebstrap, which reads none of the host's apt.conf."""
    if shutil.which("apt-config") is None:
        return []
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    return [f"--aptopt={line}" for line in dump.splitlines() if re.match(r'Acquire::https?::Proxy "[^"]', line)]


def base_command(suite: str) -> list[str]:
    """The mmdebstrap command that writes what all roots of a suite have in common, and apt, as a tar to stdout."""
    return [
        *_mmdebstrap("apt"),
        "--dpkgopt=force-unsafe-io",  # a build that is cut short is thrown away: fsync buys nothing
        '--aptopt=Acquire::Languages "none"',
        '--aptopt=Acquire::Retries "3"',
        *_proxies(),
        "--skip=output/dev",
        suite,
        "-",
        mirror(),
    ]


def command(packages: Packages, base: Path) -> list[str]:
    """The mmdebstrap command that writes the root as a tar to standard output: the base, and packages on top of it.

    Documentation is left out by tarball.py afterwards: dpkg's path-exclude costs mmdebstrap 5 s of CPU per root.
    """
    apt = (
        f"apt-get -q -y -o APT::Install-Recommends={str(packages.recommends).lower()} "
        "-o DPkg::Options::=--force-unsafe-io -o DPkg::Path=/dev/bin:/usr/sbin:/usr/bin:/sbin:/bin install "
        + " ".join(packages.names)
    )
    # mmdebstrap has just updated its lists
    install = f'{STAND_INS} DEBIAN_FRONTEND=noninteractive chroot "$1" {apt} >&2'
    return [
        *_mmdebstrap("custom"),
        f"--setup-hook=tar-in {shlex.quote(str(base))} /",
        *([f"--customize-hook={install}"] if packages.names else []),
        "",  # suite and mirror are the base's
        "-",
    ]


def _mmdebstrap(variant: str) -> list[str]:
    # Mode auto: as root, chroot, in a mount namespace where there may be one; else user namespaces, or fakechroot.
    return ["mmdebstrap", "--mode=auto", f"--variant={variant}", "--format=tar"]


def make_base(suite: str, path: Path, report: Callable[[str], None]) -> None:
    """Writes a suite's base to `path`. Nobody else may do so meanwhile. Raises DebianError."""
    scratch = path.with_name(f"{path.name}.scratch")
    shutil.rmtree(scratch, ignore_errors=True)  # of a build that was killed
    scratch.mkdir()
    try:
        with (
            replacing(path) as part,
            _output(base_command(suite), report, scratch) as stream,
            open(part, "wb") as file,
        ):
            shutil.copyfileobj(stream, file, 1 << 20)
    finally:
        shutil.rmtree(scratch)


@contextlib.contextmanager
def root_as_tar(base: Path, packages: Packages, report: Callable[[str], None], scratch: Path) -> Iterator[IO[bytes]]:
    """The tar stream of the root that has packages on top of a base of `make_base`. Raises DebianError.

    `scratch` is a folder for temporary files.
    """
    with _output(command(packages, base), report, scratch) as stream:
        yield stream


@contextlib.contextmanager
def _output(command: list[str], report: Callable[[str], None], scratch: Path) -> Iterator[IO[bytes]]:
    """Runs mmdebstrap; yields its standard output.

    `report` gets mmdebstrap's own lines of progress. Whatever ends the block early ends mmdebstrap too, with its
    mounts. Raises DebianError.
    """
    if shutil.which("mmdebstrap") is None:
        raise DebianError("mmdebstrap is not installed: `apt-get install mmdebstrap` or `make setup` installs it")
    environment = dict(os.environ, LC_ALL="C.UTF-8")
    guard = ["setpriv", "--pdeathsig", "KILL"]  # a build that is killed takes mmdebstrap with it
    if os.geteuid() == 0:
        # Killed as root, mmdebstrap leaves its mounts and children behind: they go with namespaces of their own. In a
        # container that may make none, it mounts nothing.
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode == 0:
            guard += apart
        environment["TMPDIR"] = str(scratch)  # else, in a user namespace, it picks one that the mapped users reach
    # A session of its own: Ctrl-C reaches it through us only.
    process = subprocess.Popen(
        guard + command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    _running.add(process)
    assert process.stdout is not None and process.stderr is not None
    said: list[str] = []
    reader = threading.Thread(target=_follow, args=(process.stderr, said, report), daemon=True)
    reader.start()
    try:
        yield process.stdout
        while process.stdout.read(1 << 20):  # tar's padding after the last member
            pass
    except BaseException as error:
        if not isinstance(error, Exception):
            raise
        code = process.wait() if not process.stdout.read(1) else 0
        reader.join(5)
        if code != 0:
            raise DebianError(_why(said)) from error
        raise
    else:
        code = process.wait()
        reader.join(5)
        if code != 0:
            raise DebianError(_why(said))
    finally:
        _end(process)
        _running.discard(process)
        process.stdout.close()


def _follow(stderr: IO[bytes], said: list[str], report: Callable[[str], None]) -> None:
    for raw in stderr:
        line = raw.decode("utf-8", "replace").strip()
        if line:
            said.append(line)
        if line.startswith("I: running --customize-hook"):
            report("installing packages on top of the base")
        elif line.startswith("I: ") and not line.startswith(UNTOLD):
            report(line[3:].rstrip("."))


def _why(said: list[str]) -> str:
    """What was said of the first package that could not be set up (what fails after it, fails for it), or at last."""
    lines = [line for line in said if not line.startswith("I: ")] or said
    broken = next((at for at, line in enumerate(lines) if line.startswith("dpkg: error processing")), None)
    kept = lines[-8:] if broken is None else lines[max(0, broken - 3) : broken + 2]
    text = "\n  ".join(line[:300] for line in kept)
    elsewhere = "take a root from a machine that can build it (`python -m sandbox.rootfs pack` there, `import` here)"
    if os.geteuid() != 0:
        return (
            "mmdebstrap failed; without root it needs user namespaces, newuidmap (apt-get install uidmap) and a range "
            "for this user in /etc/subuid and /etc/subgid, so build as root, or set these up, or "
            f"{elsewhere}:\n  {text}"
        )
    return f"mmdebstrap failed; where it fails each time, {elsewhere}:\n  {text}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def stop() -> None:
    """Kills every mmdebstrap of this process, in whichever thread: each `root_as_tar` then raises DebianError."""
    for process in list(_running):
        _kill(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends mmdebstrap and all that it started; returns when none of them can write any more."""
    _kill(process)
    process.wait()
    assert process.stdout is not None
    while process.stdout.read(1 << 20):  # its end comes when the last of them has gone
        pass

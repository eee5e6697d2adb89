"""Roots: built once, by whatever this machine has, and never half."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import languages
from languages import Language
from sandbox import rootfs
from sandbox.rootfs.recipe import recipes_of
from tests.sandbox.engine import bootstrap, podman

REPOSITORY = Path(__file__).parents[3]


def language(name: str = "toy", **keys: Any) -> Language:
    row = {"prompt": "Use it.", "filename": "p.x", "execute": "run p.x", **keys}
    return languages.parse(name, row, f"{name}.yaml")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGNOSTICS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/rootfs"


@pytest.fixture
def no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody-listens.sock")


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    (tmp_path / "files/bin").mkdir(parents=True)
    (tmp_path / "files/bin/run").write_text("#!/bin/sh\n")
    with tarfile.open(tmp_path / "root.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "files", ".")
    return tmp_path / "root.tar.gz"


def silent(text: str) -> None:
    pass


def test_a_tarball_becomes_a_root_with_its_mount_points(cache: Path, tar: Path) -> None:
    root = rootfs.ensure(language(container={"base-image": str(tar)}), silent)
    assert root.path.is_relative_to(cache)
    assert (root.path / "bin/run").read_text() == "#!/bin/sh\n"
    assert all((root.path / name).is_file() for name in ("dev/null", "dev/zero", "dev/full", "dev/urandom"))
    assert all((root.path / name).is_dir() for name in ("w", "tmp", "proc", "dev/shm"))
    assert root.env["PATH"].endswith("/usr/bin:/sbin:/bin")
    about = json.loads((root.path.parent / "rootfs.json").read_text())
    assert (about["language"], about["kind"], about["source"]) == ("toy", "tarball", str(tar))


def test_a_root_is_built_once_and_again_when_what_determines_it_changes(cache: Path, tar: Path) -> None:
    toy = language(container={"base-image": str(tar)})
    first = rootfs.ensure(toy, silent)
    told: list[str] = []
    assert rootfs.ensure(toy, told.append) == first
    assert told == []
    shutil.copy(tar, tar.with_name("new"))
    os.utime(tar.with_name("new"), (1, 1))
    tar.with_name("new").rename(tar)
    second = rootfs.ensure(toy, silent)
    assert second.path != first.path and first.path.is_dir()


def test_the_hash_covers_what_makes_the_files_and_nothing_else(cache: Path) -> None:
    def folders(**keys: Any) -> list[str]:
        return [recipe.folder.name for recipe in recipes_of(language(**keys))[0]]

    plain = folders(install="apt-get install -y luajit")
    assert folders(install="apt-get install -y luajit", prompt="Another.", limits={"test_s": 9}) == plain
    others = [
        folders(install="apt-get install -y lua5.4"),
        folders(install="apt-get install -y --no-install-recommends luajit"),
        folders(install="apt-get install -y luajit", container={"base-image": "debian:bookworm"}),
    ]
    every = [name for names in [plain, *others] for name in names]
    assert len(set(every)) == len(every) == 8  # engine and debian for each


def test_a_folder_is_used_where_it_is(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    root = rootfs.ensure(language(container={"base-image": str(tmp_path / "mine")}, install="anything"), silent)
    assert root.path == tmp_path / "mine"
    assert (root.path / "dev/null").is_file() and (root.path / "w").is_dir()
    assert not cache.exists()


def test_a_languages_files_are_written_or_have_to_be_there(cache: Path, tar: Path, tmp_path: Path) -> None:
    files = {"/usr/share/x": "text\n"}
    root = rootfs.ensure(language(container={"base-image": str(tar), "files": files}), silent)
    assert (root.path / "usr/share/x").read_text() == "text\n"
    assert rootfs.ensure(language(container={"base-image": str(tar)}), silent).path != root.path
    (tmp_path / "mine").mkdir()
    with pytest.raises(rootfs.RootfsError, match=r"toy\.yaml: the prebuilt root .*mine lacks /usr/share/x: write"):
        rootfs.ensure(language(container={"base-image": str(tmp_path / "mine"), "files": files}), silent)


def test_a_prebuilt_root_that_is_not_there(cache: Path) -> None:
    with pytest.raises(rootfs.RootfsError, match=r"toy\.yaml: container\.base-image: .* /nowhere/root\.tar"):
        rootfs.ensure(language(container={"base-image": "/nowhere/root.tar"}), silent)


def test_a_tarball_that_is_none_leaves_nothing_behind(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "root.tar").write_text("not a tar")
    with pytest.raises(rootfs.RootfsError, match=r"toy\.yaml: the root of toy \(.*root\.tar\) was not built"):
        rootfs.ensure(language(container={"base-image": str(tmp_path / "root.tar")}), silent)
    assert [path for path in cache.iterdir() if not path.name.endswith(".lock")] == []


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"install": "curl -L example.org | sh"}, "install line"),
        ({"install": {"container-instructions": "RUN make"}}, "Dockerfile"),
        ({"container": {"base-image": "julia:1.11.3"}}, "julia:1.11.3 is not Debian's"),
    ],
)
@pytest.mark.usefixtures("no_engine")
def test_what_only_an_engine_can_build_says_so_and_names_the_choices(
    cache: Path, keys: dict[str, Any], reason: str
) -> None:
    with pytest.raises(rootfs.RootfsError) as caught:
        rootfs.ensure(language(**keys), silent)
    message = str(caught.value)
    assert message.startswith("toy.yaml: ") and reason in message
    for choice in ("DOCKER_HOST", "apt-get install -y PACKAGE", "container.debian", "/path/to/root.tar"):
        assert choice in message
    assert "\n" not in message


@pytest.mark.usefixtures("no_engine")
def test_without_mmdebstrap_the_message_says_how_to_get_it(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(rootfs.RootfsError, match=r"apt-get install mmdebstrap.*make setup"):
        rootfs.ensure(language(install="apt-get install -y luajit"), silent)


@pytest.mark.usefixtures("no_engine")
def test_a_build_that_fails_shows_apts_own_words(cache: Path) -> None:
    with pytest.raises(rootfs.RootfsError, match=r"(?s)toy\.yaml.*mmdebstrap failed.*no-such-suite"):
        rootfs.ensure(language(container={"debian": {"suite": "no-such-suite"}}), silent)
    assert [path for path in cache.iterdir() if not path.name.endswith(".lock")] == []


def test_a_second_process_waits_for_the_first_and_uses_its_root(cache: Path, tar: Path) -> None:
    toy = language(container={"base-image": str(tar)})
    folder = recipes_of(toy)[0][0].folder
    program = (
        "import sys, languages; from sandbox import rootfs\n"
        "row = {'prompt': 'x', 'filename': 'p.x', 'execute': 'x', 'container': {'base-image': sys.argv[1]}}\n"
        "print(rootfs.ensure(languages.parse('toy', row, 'toy.yaml')).source)"
    )
    with open(cache / f".{folder.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        other = subprocess.Popen(
            [sys.executable, "-c", program, str(tar)], cwd=REPOSITORY, stdout=-1, stderr=-1, text=True
        )
        assert other.stdout and other.stderr
        assert "another process builds this root" in other.stderr.readline()
        (folder / "root").mkdir(parents=True)
        (folder / "rootfs.json").write_text(json.dumps({"env": {}, "source": "made by the first"}))
    assert other.communicate(timeout=60)[0].strip() == "made by the first"


def test_list_and_prune(cache: Path, tar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private = tmp_path / "private"
    private.mkdir()
    text = f"{{prompt: x, filename: p, execute: p, container: {{base-image: {tar}}}}}"
    (private / "kept.yaml").write_text(text)
    (private / "gone.yaml").write_text(text)
    monkeypatch.setenv("AGNOSTICS_LANGUAGES", str(private))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sandbox.rootfs", *arguments]
        return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)

    built = run("language=kept,gone")
    assert built.returncode == 0, built.stderr
    assert all(Path(line, "bin/run").is_file() for line in built.stdout.split())
    assert "rootfs gone: ready" in built.stderr
    (private / "gone.yaml").unlink()
    (cache / ".toy-0123.part/root/usr").mkdir(parents=True)  # of builds that were killed
    (cache / ".base-trixie-0123.tar.scratch").mkdir()
    (cache / ".base-trixie-0123.tar.part").touch()
    lines = run("list").stdout.splitlines()
    assert any("kept" in line and "in use" in line for line in lines)
    assert any("gone" in line and "stale" in line for line in lines)
    pruned = run("prune")
    assert "removed gone" in pruned.stdout and "freed" in pruned.stdout
    assert [path.name.split("-")[0] for path in cache.glob("[a-z]*")] == ["kept"]
    assert [*cache.glob(".*.part"), *cache.glob(".*.scratch")] == []

    unknown = run("language=klingon")
    assert unknown.returncode == 2
    assert "klingon" in unknown.stderr and "Traceback" not in unknown.stderr
    assert run().returncode == 2


def mounts_below(folder: Path) -> list[str]:
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(folder) in line]


def processes_below(folder: Path) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if str(folder).encode() in path.read_bytes():
                found.append(path.with_name("cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it has ended
    return found


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_build_leaves_no_root_no_process_and_no_mount(cache: Path, sign: signal.Signals) -> None:
    command = [sys.executable, "-m", "sandbox.rootfs", "language=lua"]
    build = subprocess.Popen(command, cwd=REPOSITORY, stdout=-1, stderr=-1, text=True)
    assert build.stderr
    for line in build.stderr:
        if "installing essential" in line:  # chroot, mounts and children are there now
            break
    build.send_signal(sign)
    assert build.wait(timeout=60) != 0
    deadline = time.monotonic() + 30
    while processes_below(cache) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert processes_below(cache) == []
    assert mounts_below(cache) == []
    assert list(cache.glob("lua-*")) == []
    if sign is signal.SIGINT:
        assert list(cache.glob(".*.part")) == []


@pytest.fixture
def root_of_lua(cache: Path, no_engine: None) -> rootfs.Rootfs:
    leftover = recipes_of(languages.load("lua"))[0][1].folder
    part = leftover.parent / f".{leftover.name}.part"
    (part / "root/usr").mkdir(parents=True)  # of a build that was killed
    return rootfs.ensure(languages.load("lua"))


def test_mmdebstrap_builds_a_root_that_runs_its_language(root_of_lua: rootfs.Rootfs, cache: Path) -> None:
    run = subprocess.run(["chroot", root_of_lua.path, "luajit", "-e", "print(6 * 7)"], capture_output=True, text=True)
    assert run.stdout == "42\n"
    assert list(cache.glob(".*.part")) == []
    inside = [path for path in root_of_lua.path.rglob("*") if not path.is_symlink()]
    assert not any(path.is_block_device() or path.is_char_device() or path.is_fifo() for path in inside)
    assert not any(path.stat().st_mode & 0o6000 for path in inside)
    assert not any((root_of_lua.path / "var/lib/apt/lists").glob("*"))
    assert not any((root_of_lua.path / "usr/share/doc").glob("*"))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """podman's service, which speaks docker's API, with the image localhost/debian:trixie; yields podman's command."""
    with tempfile.TemporaryDirectory(prefix="podman-") as folder:
        command = podman(folder)
        bootstrap(command, folder, "localhost/debian:trixie", "trixie")
        socket = Path(folder, "engine")
        monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
        words = ["system", "service", "--time=0", f"unix://{socket}"]
        service = subprocess.Popen([*command, *words], stderr=subprocess.DEVNULL)
        while not socket.exists() and service.poll() is None:
            time.sleep(0.1)
        yield command
        service.terminate()
        service.wait(30)


@pytest.mark.slow
def test_a_real_engine_builds_and_exports_images(cache: Path, engine: list[str]) -> None:
    base = {"base-image": "localhost/debian:trixie"}

    lua = rootfs.ensure(language("engine_lua", container=base, install="apt-get install -y luajit"))
    run = subprocess.run(["chroot", lua.path, "luajit", "-e", "print(6 * 7)"], capture_output=True, text=True)
    assert run.stdout == "42\n"
    assert lua.source == "image localhost/debian:trixie"

    recipe = (
        'ENV GREETING="hello there"\n'
        "ENV PATH=/opt/bin:$PATH\n"
        "RUN mkdir -p /opt/bin && cp /bin/true /opt/bin/tool && chmod 4755 /opt/bin/tool\n"
    )
    verbatim = rootfs.ensure(language("verbatim", container=base, install={"container-instructions": recipe}))
    assert verbatim.env["GREETING"] == "hello there"
    assert verbatim.env["PATH"].startswith("/opt/bin:/")
    # not setuid, and not to be written, as roots share it
    assert (verbatim.path / "opt/bin/tool").stat().st_mode & 0o7777 == 0o555

    with pytest.raises(rootfs.RootfsError, match=r"(?s)bad\.yaml.*could not build the image.*exit status 3"):
        rootfs.ensure(language("bad", container=base, install={"container-instructions": "RUN exit 3"}))

    images = subprocess.run([*engine, "images", "--noheading"], capture_output=True, text=True).stdout
    containers = subprocess.run([*engine, "ps", "-a", "--noheading"], capture_output=True, text=True).stdout
    assert "debian" in images and "agnostics" not in images
    assert containers == ""

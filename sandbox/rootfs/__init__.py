"""Root file systems: `languages/x.yaml` -> a folder that the jail uses read-only as its root.

    python -m sandbox.rootfs language=r          build (or find) a root; language=lua,r builds several, language=all all
    python -m sandbox.rootfs list                what is in the cache, and which of it is still in use
    python -m sandbox.rootfs prune               remove the roots that no language file asks for any more
    python -m sandbox.rootfs pack language=lua out=lua.tar.gz   a root as a file, for machines that cannot build one
    python -m sandbox.rootfs import lua.tar.gz   such a file, or an address of one: into the cache

A root comes from one of three sources, tried in this order:

    engine    an image built from `container.base-image` and `install` by whatever answers docker's API, exported
    debian    mmdebstrap, where no engine answers: a Debian suite plus the packages of an `apt-get install` line
    prebuilt  `container.base-image: /path/to/root` or `/path/to/root.tar.gz`: that, and nothing else

Roots are cached in `$AGNOSTICS_CACHE/rootfs` (default `~/.cache/agnostics/rootfs`) as `<language>-<hash>`, the hash
taken over everything that determines the files. A root that is there is used, however it was built. Builds happen
beside and are renamed, under a lock, so that an interrupted build leaves nothing that looks like a root, and the same
command goes on where it stopped. Equal files of several roots are one on disk (`sandbox/rootfs/store.py`).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import languages
from base.files import replacing_folder
from base.progress import Progress
from sandbox.rootfs import debian, disk, engine, pack, store, tarball
from sandbox.rootfs.recipe import Recipe, RootfsError, cache, is_path, recipes_of

BASE_DAYS = 7  # a Debian base older than that is made anew: roots on top of it get today's packages
Report = Callable[[str], None]  # is told what a build goes on to
DEFAULT_ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


@dataclass(frozen=True)
class Rootfs:
    """A root file system, ready to be used read-only by the jail."""

    path: Path
    env: dict[str, str]  # the image's ENV; PATH is always there
    source: str  # for people: "image julia:1.11.3", "debian trixie: luajit", "/path/to/root.tar"


def ensure(language: languages.Language, report: Report | None = None) -> Rootfs:
    """The root of a language, built first where it is not in the cache.

    `report` gets a line whenever the build goes on to something else; by default progress goes to standard error.
    Raises RootfsError, one sentence (with the last lines of the tool that failed).
    """
    base = language.base_image
    if is_path(base) and Path(base).expanduser().is_dir():
        return _in_place(language, Path(base).expanduser().absolute())
    recipes, missing = recipes_of(language)
    for recipe in recipes:
        if _complete(recipe.folder):
            return _read(recipe.folder)
    with contextlib.ExitStack() as stack:
        if report is None:
            progress = stack.enter_context(Progress("roots", total=1))
            report = partial(_show, progress, language.name, done=0)
        return _build_first(language, recipes, missing, report)


def _show(progress: Progress, name: str, text: str, done: int) -> None:
    progress.show(done, f"{name}: {text}", line=False)
    if not progress.live:
        progress.say(f"rootfs {name}: {text}")


def _in_place(language: languages.Language, path: Path) -> Rootfs:
    """A prebuilt root given as a folder is used where it is; only empty mount points are added to it."""
    if lacking := [name for name in language.files if not (path / name.lstrip("/")).is_file()]:
        raise RootfsError(
            f"{language.where}: the prebuilt root {path} lacks {', '.join(lacking)}: write container.files there"
        )
    if tarball.missing_mount_points(path):
        try:
            tarball.add_mount_points(path)
        except OSError as error:
            missing = ", ".join("/" + name for name in tarball.missing_mount_points(path))
            raise RootfsError(
                f"{language.where}: the prebuilt root {path} lacks {missing}, which the jail mounts over, "
                f"and they cannot be made ({error.strerror}): make them as empty folders and files"
            ) from error
    return Rootfs(path, dict(DEFAULT_ENV), str(path))


# --- the cache


def _complete(folder: Path) -> bool:
    return (folder / "rootfs.json").is_file()


def _read(folder: Path) -> Rootfs:
    row = json.loads((folder / "rootfs.json").read_text(encoding="utf-8"))
    return Rootfs(folder / "root", row["env"], row["source"])


@contextlib.contextmanager
def _lock(path: Path, report: Report) -> Iterator[None]:
    """Holds an exclusive lock for `path`; the kernel lets go of it when the process ends, however it ends."""
    path = path.with_name(f".{path.name.lstrip('.')}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting: another process builds this root" if "base-" not in path.name else "waiting for the base")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build_first(language: languages.Language, recipes: list[Recipe], missing: str, report: Report) -> Rootfs:
    """Builds by the first recipe that this machine can follow."""
    silent = None
    for recipe in recipes:
        if recipe.kind == "engine":
            silent = engine.answers()
            if silent is not None:
                continue
        try:
            return _build(recipe, report)
        except (
            engine.EngineError,
            debian.DebianError,
            tarball.UnsafeTar,
            tarfile.TarError,
            OSError,
        ) as error:
            raise RootfsError(
                f"{language.where}: the root of {language.name} ({recipe.source}) was not built: {error}"
            ) from error
    raise RootfsError(
        f"{language.where}: the root of {language.name} needs a container engine, because {missing}, and none answers "
        f"({silent}). Choose one: start docker or podman's service (DOCKER_HOST names its socket); write `install` as "
        f"`apt-get install -y PACKAGE ...` on a base image debian:SUITE; add container.debian: {{suite: SUITE, "
        f"install: ...}}; or name a prebuilt root, container.base-image: /path/to/root.tar"
    )


def _build(recipe: Recipe, report: Report) -> Rootfs:
    """Makes the root beside its place in the cache and renames it there."""
    folder = recipe.folder
    with _lock(folder, report):
        if _complete(folder):
            return _read(folder)
        with replacing_folder(folder) as part:
            begun = time.time()
            env = dict(DEFAULT_ENV)
            with _as_tar(recipe, report, part) as (stream, image_env):
                tarball.extract(stream, part / "root", lambda size: report(f"unpacking, {size / 2**20:.0f} MB"))
            env.update(image_env)
            tarball.add_files(part / "root", recipe.key.get("files", {}))
            tarball.add_mount_points(part / "root")
            new_mb = store.share(part / "root", _store())
            about = {
                "language": recipe.language,
                "kind": recipe.kind,
                "source": recipe.source,
                "recipe": recipe.key,
                "env": env,
                "size_mb": round(tarball.size_mb(part / "root"), 1),
                "new_mb": round(new_mb, 1),  # what no other root had at the time
                "built": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                "build_s": round(time.time() - begun, 1),
            }
            (part / "rootfs.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
            for leftover in part.iterdir():  # a builder's temporary files
                if leftover.name not in ("root", "rootfs.json"):
                    _remove(leftover)
    report(f"ready, {about['size_mb']:.0f} MB, {new_mb:.0f} MB of them new on this disk")
    return _read(folder)


@contextlib.contextmanager
def _as_tar(recipe: Recipe, report: Report, scratch: Path) -> Iterator[tuple[IO[bytes], dict[str, str]]]:
    """The tar stream of a recipe's root, and the environment that goes with it."""
    if recipe.kind == "engine":
        report(f"container engine: {recipe.source}")
        tag = f"agnostics/{recipe.folder.name}:building"
        with engine.image_as_tar(recipe.key["dockerfile"], tag, report) as (stream, env):
            yield stream, env
    elif recipe.kind == "debian":
        report(f"no container engine answers: mmdebstrap, {recipe.source}")
        packages = debian.Packages(tuple(recipe.key["packages"]), recipe.key["recommends"])
        with debian.root_as_tar(_base(recipe.key["suite"], report), packages, report, scratch) as stream:
            yield stream, {}
    else:
        with open(recipe.key["path"], "rb") as stream:
            yield stream, {}


def _base(suite: str, report: Report) -> Path:
    """The base of a Debian suite as a tar file, made where it is missing or old."""
    digest = hashlib.sha256(repr(debian.base_command(suite)).encode()).hexdigest()[:16]
    path = cache() / f".base-{suite}-{digest}.tar"
    with _lock(path, report):
        if not path.is_file() or time.time() - path.stat().st_mtime > BASE_DAYS * 86400:
            report(f"the base of {suite} comes first, for all roots on it")
            debian.make_base(suite, path, report)
    return path


def _store() -> Path:
    return cache() / ".store"


def _remove(path: Path) -> None:
    """Removes a tree. Builds unmount before they end; on a tree that still has a mount inside, rmtree fails loudly."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def build(names: list[str], at_once: int | None = None) -> dict[str, Rootfs | RootfsError]:
    """The roots of several languages, built `at_once` at a time (default: one per core, four at most).

    Raises RootfsError, before anything is fetched, where the disk has no room for them.
    """
    chosen = [languages.load(name) for name in names]
    at_once = at_once or min(4, os.cpu_count() or 1)
    _require_room([language.name for language in chosen if not _is_there(language)], at_once)
    interrupted = threading.Event()

    def one(language: languages.Language) -> Rootfs | RootfsError:
        def report(text: str) -> None:
            if interrupted.is_set():
                raise KeyboardInterrupt  # Ctrl-C reaches the main thread only; this ends an engine's build
            _show(progress, language.name, text, done=sum(future.done() for future in futures))

        try:
            return ensure(language, report)
        except RootfsError as error:
            report("failed")
            return error

    with Progress("roots", total=len(names)) as progress, ThreadPoolExecutor(at_once) as threads:
        futures: list[Future[Rootfs | RootfsError]] = []
        futures.extend(threads.submit(one, language) for language in chosen)
        try:
            return {name: future.result() for name, future in zip(names, futures, strict=True)}
        except KeyboardInterrupt:
            interrupted.set()
            threads.shutdown(wait=False, cancel_futures=True)
            debian.stop()
            raise


def _require_room(missing: list[str], at_once: int) -> None:
    """Says how much disk the missing roots will take. Raises RootfsError where there is less."""
    if not missing:
        return
    kept, working = disk.needed(missing, at_once, disk.read())
    free = shutil.disk_usage(cache()).free / 1e9
    roots = f"{len(missing)} root{'s' if len(missing) > 1 else ''}"
    need = f"{kept:.1f} GB of disk for {roots}, and {working:.1f} GB more while they are built"
    if free < kept + working:
        raise RootfsError(
            f"too little disk: {need}; {cache()} has {free:.1f} GB free: make room "
            "(`python -m sandbox.rootfs prune` removes old roots), build fewer at a time, or set AGNOSTICS_CACHE to a "
            "folder on a larger disk"
        )
    if len(missing) > 1:
        print(f"{need}; {free:.1f} GB are free in {cache()}", file=sys.stderr)


def _is_there(language: languages.Language) -> bool:
    if is_path(language.base_image):
        return True  # the user's own: nothing has to be fetched
    return any(_complete(recipe.folder) for recipe in recipes_of(language)[0])


def in_use() -> set[str]:
    """The names of the cache folders that today's language files ask for."""
    used: set[str] = set()
    for name in languages.names():
        with contextlib.suppress(languages.LanguageError, RootfsError):
            used.update(recipe.folder.name for recipe in recipes_of(languages.load(name))[0])
    return used


def cached() -> list[tuple[Path, dict[str, Any]]]:
    """The folders of the roots that are there, and what their `rootfs.json` says."""
    return [
        (folder, json.loads((folder / "rootfs.json").read_text(encoding="utf-8")))
        for folder in sorted(cache().glob("*"))
        if _complete(folder)
    ]


def together(roots: list[Path]) -> str:
    """How much disk roots take, in words."""
    alone, together = sum(tarball.size_mb(root) for root in roots), tarball.size_mb(*roots)
    return f"{len(roots)} roots: {together:.0f} MB on disk, {alone:.0f} MB if they did not share their equal files"


def prune() -> float:
    """Removes the roots that no language file asks for any more, and what builds left; says so, and gives back MB."""
    used, freed = in_use(), 0.0
    for folder, about in cached():
        if folder.name not in used:
            with _lock(folder, print):
                (folder / "rootfs.json").unlink()  # first: a half-removed root must not look like one
                _remove(folder)
            print(f"removed {about['language']} ({about['source']}): {folder}")
    for pattern in (".*.part", ".*.scratch"):
        for left in cache().glob(pattern):  # of a build that was killed; one that goes on ends first
            with _lock(left.with_suffix(""), print):
                _remove(left)
            print(f"removed what a build left: {left}")
    for base in cache().glob(".base-*.tar"):
        if time.time() - base.stat().st_mtime > BASE_DAYS * 86400:
            freed += base.stat().st_size / 2**20
            base.unlink()
    return freed + store.prune(_store())


def pack_root(name: str, out: Path) -> None:
    """Packs the root of a language, built first where it is not there. Raises RootfsError, LanguageError."""
    root = ensure(languages.load(name))
    if not _complete(root.path.parent):
        raise RootfsError(f"the root of {name} is {root.path}, the user's own: pack it with tar")
    pack.write(root.path.parent, out)


def import_packed(place: str) -> Rootfs:
    """Puts a packed root (a path or an address) into the cache, for its language. Raises RootfsError."""
    part = cache() / f".import-{os.getpid()}.part"
    _remove(part)
    try:
        with Progress("MB unpacked") as progress:
            about = pack.read(place, part, lambda size: progress.show(int(size / 2**20)))
        try:
            wanted = [recipe.folder for recipe in recipes_of(languages.load(about["language"]))[0]]
        except languages.LanguageError as error:
            raise RootfsError(f"{place}: {error}") from error
        folder = next((folder for folder in wanted if folder.name == about["folder"]), None)
        if folder is None:
            raise RootfsError(
                f"{place} holds {about['source']}, which is not what this checkout's language {about['language']} asks "
                "for: pack it with the same language file"
            )
        with _lock(folder, print):
            if not _complete(folder):
                store.share(part / "root", _store())
                _remove(folder)
                part.rename(folder)
        return _read(folder)
    finally:
        _remove(part)

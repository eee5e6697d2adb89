"""The house: imports go down one list of rooms, without a circle, and a room stays small enough to know by heart."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = (
    "study",
    "training",
    "run",
    "rollout",
    "chat",
    "policy",
    "problems",
    "sandbox",
    "languages",
    "base",
)  # downwards
SCRIPTS = ("train.py", "evaluate.py", "reformulate.py")  # stand above all rooms
MOST_FILES = 14  # Python files of one folder


def modules() -> dict[str, Path]:
    """Every module of the rooms by its dotted name; a package by the name of its folder."""
    found = {}
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The modules of the rooms that a file imports anywhere, inside functions too; not those for types alone."""
    tree = ast.parse(path.read_text())
    types_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in types_only:
            continue
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            wanted = [
                f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in known else node.module
                for alias in node.names
            ]
        else:
            continue
        yield from (module for module in wanted if module in known and module != name)


GRAPH = {name: set(imports(name, path, modules())) for name, path in modules().items()}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_the_rooms_below_it(room: str) -> None:
    below = ROOMS[ROOMS.index(room) :]
    upwards = [
        f"{name} imports {module}"
        for name, wanted in GRAPH.items()
        if name.split(".")[0] == room
        for module in sorted(wanted)
        if module.split(".")[0] not in below
    ]
    assert not upwards


def test_no_imports_go_in_a_circle() -> None:
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def test_no_room_imports_a_script() -> None:
    scripts = {script.removesuffix(".py") for script in SCRIPTS}
    for path in modules().values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not {alias.name for alias in node.names} & scripts, path
            if isinstance(node, ast.ImportFrom):
                assert node.module not in scripts, path


def test_nothing_but_tests_imports_tests() -> None:
    for path in [*modules().values(), *(ROOT / "benchmarks").rglob("*.py"), *(ROOT / name for name in SCRIPTS)]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "tests" for name in names), path


def test_every_folder_is_small() -> None:
    folders = {path.parent for path in modules().values()}
    large = {
        str(folder.relative_to(ROOT)): count
        for folder in folders
        if (count := sum(path.name != "__init__.py" for path in folder.glob("*.py"))) > MOST_FILES
    }
    assert not large


def test_the_lowest_rooms_need_no_package() -> None:
    """A sandbox worker starts without site-packages: what it imports is the standard library and ourselves."""
    from sys import stdlib_module_names

    reached, waiting = set(), ["sandbox.worker"]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += GRAPH[name]
    for name in sorted(reached):
        for node in ast.parse(modules()[name].read_text()).body:  # at the top of the file: what importing it needs
            if isinstance(node, ast.Import):
                roots = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                roots = {(node.module or "").split(".")[0]}
            else:
                continue
            assert roots <= {*stdlib_module_names, *ROOMS}, f"{name} imports {roots}"


def test_what_is_imported_of_the_rooms_is_there() -> None:
    """mypy lets a missing module pass, since some of the packages have no types."""
    known = modules()
    for path in [*known.values(), *(ROOT / script for script in SCRIPTS), *(ROOT / "tests").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                assert name.split(".")[0] not in ROOMS or name in known, f"{path.relative_to(ROOT)} imports {name}"

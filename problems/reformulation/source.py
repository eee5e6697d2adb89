"""Data sets of tasks that are tested by calling a Python function, such as MBPP: their rows, and what is called."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import field_validator

from base import hub, jsonl
from base.errors import DataError
from base.text import plain
from problems.reformulation import Refused
from problems.settings import DatasetSettings, Name
from sandbox.job_rows import check_text

FIELDS = ("id", "description", "assertions", "solution", "setup")
MOST_ASSERTIONS = 100_000  # characters, of one task: they go into a prompt


class TaskSettings(DatasetSettings):
    """conf/dataset/mbpp.yaml"""

    path: Name | None = None  # a JSONL file; None: the hub
    hub: str
    subset: Name | None = None
    split: str
    columns: dict[str, str | list[str] | None]  # FIELDS -> the data set's; of several the first that a row has

    @field_validator("columns")
    @classmethod
    def _known(cls, columns: dict[str, str | list[str] | None]) -> dict[str, str | list[str] | None]:
        if not set(columns) <= set(FIELDS):
            raise ValueError(f"{{key}}: the fields are {', '.join(FIELDS)}, not {', '.join(map(str, columns))}")
        return columns


@dataclass(frozen=True)
class Task:
    id: str
    description: str
    assertions: tuple[str, ...]
    solution: str | None  # Python
    setup: str = ""  # Python that the assertions need: imports and the like


@dataclass(frozen=True)
class Calls:
    """What a task's assertions call."""

    function: str
    arguments: tuple[str, ...]  # of each assertion's call: a Python tuple of expressions
    expected: tuple[Any, ...]  # what an assertion of the form `f(...) == literal` wants, else UNKNOWN
    texts: frozenset[str]  # string constants of the assertions


UNKNOWN = object()


def load(dataset: DatasetSettings) -> list[Task]:
    """The tasks of a data set that has some. Raises DataError."""
    if not isinstance(dataset, TaskSettings):
        raise DataError(f"dataset={dataset.name} is no set of tasks with unit tests; the one that is: mbpp")
    tasks: dict[str, Task] = {}
    rows = _jsonl(Path(dataset.path).expanduser()) if dataset.path else _hub(dataset)
    for where, row in rows:
        task = from_row(row, dataset.columns, where)
        if task.id in tasks:
            raise DataError(f"{where}: id {task.id!r} appears twice")
        tasks[task.id] = task
    if not tasks:
        raise DataError(f"dataset.path: {dataset.path or dataset.hub} holds no task")
    return list(tasks.values())


def _jsonl(path: Path) -> Iterator[tuple[str, Any]]:
    if not path.is_file():
        raise DataError(f"dataset.path: there is no file {path}")
    yield from jsonl.read(path)


def _hub(dataset: TaskSettings) -> Iterator[tuple[str, Any]]:
    offline = hub.settle()
    import datasets  # slow to import, and a file needs none of it

    try:
        found = datasets.load_dataset(dataset.hub, dataset.subset, split=dataset.split)
    except Exception as error:  # the library raises what its many back ends raise
        reason = offline or " ".join(str(error).split())[:300]
        raise DataError(
            f"dataset.hub: cannot load {dataset.hub!r} ({reason}); dataset.path=FILE.jsonl reads a file"
        ) from error
    for number, row in enumerate(found):
        yield f"{dataset.hub}, row {number}", row


def from_row(row: Any, columns: Mapping[str, Any], where: str) -> Task:
    """`row` (decoded JSON) as a Task. Raises DataError naming `where` and the column."""
    if not isinstance(row, dict):
        raise DataError(f"{where}: a task is a JSON object, not {type(row).__name__}")
    found: dict[str, Any] = {}
    for field in FIELDS:
        wanted = columns.get(field)
        names = wanted if isinstance(wanted, list) else [wanted] if wanted else []
        name = next((name for name in names if row.get(name) is not None), None)
        if name is None and field in ("id", "description", "assertions"):
            there = ", ".join(map(str, row))
            raise DataError(f"{where}: no column {' or '.join(names) or '(none named)'}; it has {there}")
        found[field] = row[name] if name is not None else None
        number = field == "id" and type(found[field]) is int
        listed = isinstance(found[field], list) and all(isinstance(line, str) for line in found[field])
        if name is not None and not (
            listed if field == "assertions" else listed or number or isinstance(found[field], str)
        ):
            kind = "a list of strings" if field == "assertions" else "a string"
            raise DataError(f"{where}: column {name!r} must be {kind}, not {type(found[field]).__name__}")
        check_text(_lines(found[field]), f"{where}: column {name!r}")
        if field in ("id", "description") and not _lines(found[field]).strip():
            raise DataError(f"{where}: column {name!r} is empty")
    return Task(
        str(found["id"]),
        _lines(found["description"]),
        tuple(line.strip() for line in found["assertions"]),
        _lines(found["solution"]) or None,
        _lines(found["setup"]),
    )


def _lines(value: Any) -> str:
    text = "\n".join(value) if isinstance(value, list) else "" if value is None else str(value)
    return plain(text).strip("\n")


def calls(task: Task) -> Calls:
    """What the assertions call, with which arguments. Raises Refused where no program could be asked for."""
    if not task.assertions:
        raise Refused("source", "the task has no assertions")
    if (size := sum(map(len, task.assertions))) > MOST_ASSERTIONS:
        raise Refused("source", f"assertions of {size} characters; the most is {MOST_ASSERTIONS}")
    defined, modules = _names(task)
    found: list[list[ast.Call]] = []  # of each assertion, the calls of functions that the task defines
    trees = []
    for number, line in enumerate(task.assertions, start=1):
        try:
            body = ast.parse(line).body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise Refused("source", f"assertion {number} is not Python") from error
        if len(body) != 1 or not isinstance(body[0], ast.Assert):
            raise Refused("source", f"assertion {number} is no single assert statement")
        trees.append(body[0].test)
        inside = [node for node in ast.walk(body[0].test) if isinstance(node, ast.Call)]
        found.append([c for c in inside if isinstance(c.func, ast.Name) and _called(c.func.id, defined, modules)])
        if not found[-1]:
            raise Refused("source", f"assertion {number} calls no function of the solution")
    names = [[call.func.id for call in inside if isinstance(call.func, ast.Name)] for inside in found]
    function = next((name for name in names[0] if all(name in others for others in names)), None)
    if function is None:
        raise Refused("source", "the assertions call different functions")
    arguments, expected = [], []
    for number, (inside, others, tree) in enumerate(zip(found, names, trees, strict=True), start=1):
        if others.count(function) != 1:
            raise Refused("source", f"assertion {number} calls {function} {others.count(function)} times")
        call = inside[others.index(function)]
        _check_arguments(call, number, modules)
        arguments.append(ast.unparse(ast.Tuple(call.args, ast.Load())))
        expected.append(_expected(tree, call))
    texts = {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return Calls(function, tuple(arguments), tuple(expected), frozenset(texts))


def _names(task: Task) -> tuple[set[str] | None, set[str]]:
    """The functions that the solution defines (None without one), and the modules that it or the set-up imports."""
    defined: set[str] = set()
    modules: set[str] = set()
    for code in (task.solution or "", task.setup):
        try:
            body = ast.parse(code).body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise Refused("source", "the solution is not Python 3") from error
        for node in body:
            if isinstance(node, ast.FunctionDef):
                defined.add(node.name)
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
                defined |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            elif isinstance(node, ast.Import):
                modules |= {(name.asname or name.name).partition(".")[0] for name in node.names}
    return (defined if task.solution else None), modules


def _called(name: str, defined: set[str] | None, modules: set[str]) -> bool:
    return name in defined if defined is not None else not hasattr(builtins, name) and name not in modules


def _check_arguments(call: ast.Call, number: int, modules: set[str]) -> None:
    if call.keywords or any(isinstance(argument, ast.Starred) for argument in call.args):
        raise Refused("source", f"assertion {number} names its arguments")
    for argument in call.args:
        for node in ast.walk(argument):
            if isinstance(node, ast.Lambda):
                raise Refused("source", f"assertion {number} passes a function")
            if isinstance(node, ast.Name) and not hasattr(builtins, node.id) and node.id not in modules:
                raise Refused("source", f"assertion {number} passes {node.id}, which is no plain value")


def _expected(tree: ast.expr, call: ast.Call) -> Any:
    if isinstance(tree, ast.Compare) and len(tree.ops) == 1 and isinstance(tree.ops[0], ast.Eq) and tree.left is call:
        try:
            return ast.literal_eval(tree.comparators[0])
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            pass
    return UNKNOWN

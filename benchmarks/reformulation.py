"""What reformulate.py keeps and drops of a whole data set, where it is known which answers are right:

    python benchmarks/reformulation.py mbpp.jsonl RUN_DIR [key=value ...]

A mechanical model answers behind a real server. Where a task's arguments and values are numbers, strings, truth values
and lists of them, it derives a right reformulation from the assertions themselves; of every fifth such task it gets
one thing wrong, and goes on getting it wrong. Of any other task it makes what poor models make: an apology, half a JSON
object, no tests. It repeats the task's own words at first, and drops those of Python when told to.

The last lines are a table: what the answers to a task deserved, and what became of it. A run that was stopped goes on
with the same command.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import languages
import reformulate
from base.errors import UserError
from benchmarks.scripted_endpoint import Raw, completion, serve
from problems import load
from problems.reformulation import Refused, prompt, source
from problems.reformulation.source import UNKNOWN, Calls, Task
from run import run_folder

ROOT = Path(__file__).parents[1]
# The reason that each mistake must be refused for. A task's number says which mistake is made.
MISTAKES = ("outputs", "arguments", "program", "python_values", "python_terms")
NONSENSE = ("no_json", "cut_off", "schema", "test_count")
EVERY = 5  # of the tasks that it could do right, it gets every fifth wrong

READER = """\
def reader(text):
    lines = iter(text.split("\\n"))

    def leaf(kind, word):
        if kind == "b":
            return word == "1"
        if kind in "sw":
            return word
        try:
            return int(word)
        except ValueError:
            return float(word)

    def read(shape):
        kind, rest = shape[0], shape[1:]
        if not rest:
            return leaf(kind, next(lines))
        size = int(next(lines))
        if rest in ("n", "w", "b"):
            values = [leaf(rest, word) for word in next(lines).split()]
        else:
            values = [read(rest) for _ in range(size)]
        return {"L": list, "T": tuple, "S": set}[kind](values)

    return tuple(read(shape) for shape in SHAPES)
"""
PRINTER = """\
def printer(value):
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, (set, frozenset)):
        value = sorted(value)
    if isinstance(value, (list, tuple)):
        nested = any(isinstance(item, (list, tuple, set)) for item in value)
        return ("\\n" if nested else " ").join(map(printer, value))
    return str(value)
"""
PLAIN = {"tuple": "sequence", "tuples": "sequences", "dictionary": "table", "dictionaries": "tables", "dict": "table"}
KINDS: dict[type[Any], str] = {list: "L", tuple: "T", set: "S"}


class NoShapeError(Exception):
    """Values that the mechanical model has no layout for."""


def shape(values: list[Any]) -> str:
    """The layout of values of one place: n number, b truth value, s text on a line of its own, w words on one line,
    and before them L, T, S for every list, tuple and set around."""
    if all(isinstance(value, bool) for value in values):
        return "b"
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return "n"
    if all(isinstance(value, str) and value.isprintable() for value in values):
        return "s"
    kinds = {type(value) for value in values}
    if len(kinds) != 1 or not kinds <= set(KINDS):
        raise NoShapeError
    inner = [item for value in values for item in value]
    rest = shape(inner) if inner else "n"
    if rest == "s" and all(item.split() == [item] for item in inner):
        rest = "w"
    return KINDS[kinds.pop()] + rest


def lay_out(value: Any, layout: str) -> list[str]:
    """The lines of one argument."""
    kind, rest = layout[0], layout[1:]
    if not rest:
        return [str(int(value)) if kind == "b" else str(value)]
    if rest in ("n", "w", "b"):
        return [str(len(value)), " ".join(line for item in value for line in lay_out(item, rest))]
    return [str(len(value)), *(line for item in value for line in lay_out(item, rest))]


def right(task: Task, calls: Calls) -> dict[str, Any]:
    """A right reformulation. Raises NoShapeError where the assertions are not of simple literals."""
    try:
        arguments = [ast.literal_eval(text) for text in calls.arguments]
    except (ValueError, TypeError, SyntaxError) as error:
        raise NoShapeError from error
    if UNKNOWN in calls.expected or len({len(values) for values in arguments}) != 1 or not arguments[0]:
        raise NoShapeError
    for value in calls.expected:
        if not isinstance(value, bool | type(None)):
            shape([value])  # something that the printer can print
    shapes = [shape(list(column)) for column in zip(*arguments, strict=True)]
    space: dict[str, Any] = {}
    exec(PRINTER, space)  # ours, not a model's
    return {
        "description": re.sub(r"(?i)write an? (python )?function ", "Write a program ", task.description),
        "input_format": "The arguments, one after the other: a value stands on a line of its own; several values "
        "are a line with their number and a line that holds them, or further such pairs.",
        "output_format": "The value; several with blanks between them, rows on lines; yes or no; none; 4 decimals.",
        "tests": [
            {
                "input": "\n".join(
                    line for value, layout in zip(values, shapes, strict=True) for line in lay_out(value, layout)
                ),
                "output": space["printer"](wanted),
            }
            for values, wanted in zip(arguments, calls.expected, strict=True)
        ],
        "reader": READER.replace("SHAPES", repr(shapes)),
        "printer": PRINTER,
    }


def spoil(row: dict[str, Any], mistake: str, calls: Calls) -> dict[str, Any]:
    """The row with one mistake, to be refused for the reason of that name."""
    tests = [dict(test) for test in row["tests"]]
    match mistake:
        case "outputs":
            tests[-1]["output"] = "7" + tests[-1]["output"]
        case "arguments":
            tests[0]["input"] = tests[-1]["input"]
        case "program":
            row = row | {"printer": "def printer(value):\n    return value.no_such_thing"}
        case "python_values":
            tests[0]["input"] = calls.arguments[0]
        case "python_terms":
            row = row | {"description": row["description"] + " Return a tuple."}
    return row | {"tests": tests}


class Mechanical:
    """The model. `deserved` says of every task what must become of it."""

    def __init__(self, tasks: list[Task]) -> None:
        self.deserved: dict[str, str] = {}
        self.plans: dict[str, tuple[str, dict[str, Any] | None, Calls]] = {}  # by the first message
        for number, task in enumerate(tasks):
            row, reason = None, NONSENSE[number % len(NONSENSE)]
            try:
                calls = source.calls(task)
                row = right(task, calls)
                reason = MISTAKES[number // EVERY % len(MISTAKES)] if number % EVERY == 0 else "kept"
            except NoShapeError:
                pass
            except Refused as refused:
                self.deserved[task.id] = refused.reason
                continue
            self.deserved[task.id] = reason
            self.plans[prompt.request(task, calls.function)] = reason, row, calls

    def __call__(self, request: dict[str, Any]) -> str | Raw:
        messages = request["messages"]
        reason, row, calls = self.plans[messages[0]["content"]]
        if row is None:
            return nonsense(reason, len(calls.arguments))
        if reason != "kept":
            row = spoil(row, reason, calls)
        if reason != "python_terms" and any("uses words of Python" in message["content"] for message in messages):
            words = row["description"].replace("function", "program")
            row = row | {"description": re.sub(r"\b\w+\b", lambda word: PLAIN.get(word[0], word[0]), words)}
        return f"```json\n{json.dumps(row)}\n```"


def nonsense(mistake: str, assertions: int) -> str | Raw:
    words = {
        "description": "A task.",
        "input_format": "A line.",
        "output_format": "A line.",
        "reader": "x",
        "printer": "x",
    }
    test = {"input": "1", "output": "1"}
    match mistake:
        case "no_json":
            return "I am sorry, I cannot help with that."
        case "cut_off":
            return completion(json.dumps(words | {"tests": [test]})[:-20], "length")
        case "schema":
            return json.dumps(words)
    return json.dumps(words | {"tests": [test] * (assertions + 1)})


def main(path: str, folder: str, *more: str) -> None:
    languages.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        words = ["dataset=mbpp", f"dataset.path={path}", f"run_dir={folder}", "model.name=mechanical", *more]
        config = compose("reformulate", [*words, "model.base_url=http://localhost:1/v1"])
    OmegaConf.resolve(config)
    (Path(folder) / run_folder.CONFIG).unlink(missing_ok=True)  # the server's port is another one each time
    tasks = source.load(load.dataset(config.dataset))[: config.limit]
    model = Mechanical(tasks)
    with serve(model, ("mechanical",)) as server:
        config.model.base_url = server.url
        reformulate.run(config)
    became: Counter[tuple[str, str]] = Counter()
    rows = {row["id"]: row for row in map(json.loads, (Path(folder) / "rows.jsonl").read_text().splitlines())}
    for task in tasks:
        refusals = rows[task.id]["refusals"]
        end = "kept" if rows[task.id]["kept"] else refusals[-1]["reason"]
        became[model.deserved[task.id], end] += 1
        if model.deserved[task.id] != end:
            print(f"{task.id}: {model.deserved[task.id]} deserved, {end}: {refusals[-1]['detail']}")
    print(f"\n{'deserved':14} {'became':14} {'tasks':>6}")
    for (deserved, end), count in sorted(became.items()):
        print(f"{deserved:14} {end:14} {count:6}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except UserError as error:
        sys.exit(f"error: {error}")

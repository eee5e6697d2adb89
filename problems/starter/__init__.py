"""The starter problems: twenty kinds of very small tasks, each in several wordings, for a policy of a million weights.

A kind has one reference solution, which produces the expected outputs. Its held-out problems are told in wordings, and
tested with values, that no training problem of the kind has: a policy that passes them has not learned them by heart.

    python -m problems.starter      # writes data/starter/{train,heldout}.jsonl again, byte for byte the same
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from problems.problem import Problem, write_jsonl
from problems.starter.kinds import KINDS, Kind
from sandbox.job import Test

FOLDER = Path(__file__).parent / "data"
TESTS = 5  # a problem


def splits() -> dict[str, list[Problem]]:
    """The problems of {"train", "heldout"}; no input of one is an input of the other in the same kind."""
    found: dict[str, list[Problem]] = {"train": [], "heldout": []}
    for kind in KINDS:
        random = Random(f"starter {kind.name}")
        used: set[str] = set()
        for split, wordings in (("train", kind.train), ("heldout", kind.heldout)):
            for number, statement in enumerate(wordings):
                found[split].append(
                    Problem(
                        id=f"starter-{kind.name}-{split}-{number}",
                        statement=statement,
                        tests=draw_tests(kind, random, used),
                        input_format=kind.shape.input_format,
                        output_format=kind.output_format,
                    )
                )
    return found


def draw_tests(kind: Kind, random: Random, used: set[str]) -> tuple[Test, ...]:
    """Tests whose inputs are not in `used` (they are added to it), the shortest first: it is the prompt's example.

    There are two different answers at least, so that no program passes a yes-or-no problem by printing one word.
    """
    while True:
        inputs: list[str] = []
        while len(inputs) < TESTS:
            text = kind.shape.draw(random) + "\n"
            if text not in used and text not in inputs:
                inputs.append(text)
        tests = tuple(Test(text, kind.solve(text) + "\n") for text in inputs)
        if len({test.output for test in tests}) > 1:
            used.update(inputs)
            return tuple(sorted(tests, key=lambda test: len(test.input + test.output)))


def write(folder: Path) -> None:
    """Writes train.jsonl and heldout.jsonl into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, problems in splits().items():
        write_jsonl(folder / f"{split}.jsonl", problems)
        print(f"{folder / split}.jsonl: {len(problems)} problems")

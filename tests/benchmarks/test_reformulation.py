"""The benchmark of reformulate.py on tasks of every kind: what is right is kept, a mistake is refused by its name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.reformulation import MISTAKES, NONSENSE, main

# The function's body and its assertions, as MBPP has them.
KINDS = [
    ("def f(n):\n    return n * n", ["f(3) == 9", "f(-2) == 4"]),
    ("def f(x, y):\n    return x / y", ["f(1.5, 2) == 0.75", "f(1, 3) == 1 / 3"]),  # 1 / 3 is no literal
    ("def f(xs):\n    return sorted(xs)", ["f([3, 1, 2]) == [1, 2, 3]", "f([]) == []"]),
    ("def f(rows):\n    return [sum(row) for row in rows]", ["f([[1, 2], []]) == [3, 0]", "f([[4]]) == [4]"]),
    ("def f(text):\n    return text.upper()", ["f('a b') == 'A B'", "f('é, ü') == 'É, Ü'"]),
    ("def f(words):\n    return ' '.join(words)", ["f(('p', 'q r')) == 'p q r'", "f(('s',)) == 's'"]),
    (
        "def f(words, yes):\n    return len(words) > 1 and yes",
        ["f(['p', 'q'], True) == True", "f(['r'], True) == False"],
    ),
    ("def f(m):\n    return sorted(m.items())", ["f({'a': 1}) == [('a', 1)]", "f({}) == []"]),  # no layout for it
    ("def f(n):\n    return {n, n + 1}", ["f(3) == {3, 4}", "f(1) == {1, 2}"]),
]


def test_right_answers_are_kept_and_wrong_ones_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {
            "task_id": number,
            "text": f"Write a function to work on the given tuple, in the way of number {number}.",
            "code": KINDS[number % len(KINDS)][0],
            "test_list": [f"assert {line}" for line in KINDS[number % len(KINDS)][1]],
        }
        for number in range(36)
    ]
    rows.append(rows[0] | {"task_id": 36, "code": "def f(n):\n    return n"})
    (tmp_path / "mbpp.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    main(str(tmp_path / "mbpp.jsonl"), str(tmp_path / "run"), "sandbox.workers=2")
    lines = capsys.readouterr().out.splitlines()
    table = [line.split() for line in lines[lines.index(next(line for line in lines if line.startswith("deserved"))) :]]
    became = {(deserved, end): int(count) for deserved, end, count in table[1:]}
    assert sum(became.values()) == 37
    # The last task's solution fails its assertions, which no model can know.
    assert {pair for pair in became if pair[0] != pair[1]} == {("kept", "source")}, lines
    assert {deserved for deserved, _ in became} == {"kept", *MISTAKES, *NONSENSE}
    report = json.loads((tmp_path / "run/report.json").read_text())
    assert report["kept"] == report["kept_after_refusals"] == became["kept", "kept"]  # all spoke of a tuple at first

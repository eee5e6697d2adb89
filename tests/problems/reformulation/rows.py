"""Tasks of our own in MBPP's schema, and for each the answer of a model that does well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROWS: list[dict[str, Any]] = [
    {
        "task_id": 1,
        "text": "Write a python function to add up the squares of the numbers in a list.",
        "code": "def sum_squares(nums):\r\n    return sum(n * n for n in nums)",
        "test_setup_code": "",
        "test_list": [
            "assert sum_squares([1, 2, 3]) == 14",
            "assert sum_squares([]) == 0",
            "assert sum_squares([-4]) == 16",
        ],
        "challenge_test_list": [],
    },
    {
        "task_id": 2,
        "text": "Write a function to check whether a word reads the same in both directions.",
        "code": "def is_palindrome(word):\n    return word == word[::-1]",
        "test_setup_code": "",
        "test_list": ["assert is_palindrome('level')", "assert not is_palindrome('lever')"],
        "challenge_test_list": [],
    },
    {
        "task_id": 3,
        "text": "Write a function to find the elements that two tuples share.",
        "code": "def shared(one, other):\n    return tuple(set(one) & set(other))",
        "test_setup_code": "",
        "test_list": [
            "assert set(shared((3, 4, 5), (5, 4, 9))) == set((4, 5))",
            "assert set(shared((11, 12), (13, 12))) == {12}",
        ],
        "challenge_test_list": [],
    },
    {
        "task_id": 4,
        "text": "Write a function to get the mean of every row of a matrix.",
        "code": "import statistics\ndef row_means(rows):\n    return [statistics.mean(row) for row in rows]",
        "test_setup_code": "import math",
        "test_list": [
            "assert row_means([[1, 2], [3, 4]]) == [1.5, 3.5]",
            "assert math.isclose(row_means([[1, 0, 0]])[0], 1 / 3)",
        ],
        "challenge_test_list": [],
    },
    {
        "task_id": 5,
        "text": "Write a function to check that brackets are balanced. é",
        "code": (
            "def balanced(text):\n    depth = 0\n    for c in text:\n        depth += 1 if c == '[' else -1\n"
            "        if depth < 0:\n            return False\n    return depth == 0"
        ),
        "test_setup_code": "",
        "test_list": ["assert balanced('[]') == True", "assert balanced('][') == False"],
        "challenge_test_list": [],
    },
    {
        "task_id": 6,
        "text": "Write a function to count the leaves of a tree.",
        "code": "class Node:\n    pass\ndef leaves(node):\n    return 1",
        "test_setup_code": "root = Node()",
        "test_list": ["assert leaves(root) == 1"],
        "challenge_test_list": [],
    },
    {
        "task_id": 7,
        "text": "Write a function to double a number.",
        "code": "def double(n):\n    return n + n + 1",
        "test_setup_code": "",
        "test_list": ["assert double(2) == 4"],
        "challenge_test_list": [],
    },
]

GOOD: dict[str, dict[str, Any]] = {
    "sum_squares": {
        "description": "Add up the squares of a list of whole numbers.",
        "input_format": "The first line holds the number n of values. The second line holds the values, with blanks.",
        "output_format": "One whole number: the sum of the squares. It is 0 for n = 0.",
        "tests": [
            {"input": "3\n1 2 3\n", "output": "14\n"},
            {"input": "0\n\n", "output": "0"},
            {"input": "1\n-4", "output": "16"},
        ],
        "reader": "def reader(text):\n    return ([int(word) for word in text.split()[1:]],)",
        "printer": "def printer(value):\n    return str(value)",
    },
    "is_palindrome": {
        "description": "Decide whether a word reads the same from both ends.",
        "input_format": "One line with one word.",
        "output_format": "The word yes or the word no.",
        "tests": [{"input": "level", "output": "yes"}, {"input": "lever", "output": "no"}],
        "reader": "def reader(text):\n    return (text.strip(),)",
        "printer": "def printer(value):\n    return 'yes' if value else 'no'",
    },
    "shared": {
        "description": "Given two groups of whole numbers, find the numbers that are in both.",
        "input_format": "Two lines, each with the numbers of one group, separated by blanks.",
        "output_format": "The common numbers in ascending order, separated by blanks.",
        "tests": [{"input": "3 4 5\n5 4 9", "output": "4 5"}, {"input": "11 12\n13 12", "output": "12"}],
        "reader": "def reader(text):\n    return tuple(tuple(map(int, line.split())) for line in text.splitlines())",
        "printer": "def printer(value):\n    return ' '.join(map(str, sorted(value)))",
    },
    "row_means": {
        "description": "Find the mean of every row of a table of numbers.",
        "input_format": "Each line holds one row of the table: numbers separated by blanks.",
        "output_format": "One line for each row: its mean, rounded to 4 digits after the point.",
        "tests": [{"input": "1 2\n3 4", "output": "1.5000\n3.5000"}, {"input": "1 0 0", "output": "0.3333"}],
        "reader": "def reader(text):\n    return ([[int(x) for x in line.split()] for line in text.splitlines()],)",
        "printer": "def printer(value):\n    return '\\n'.join(f'{x:.4f}' for x in value)",
    },
    "balanced": {
        "description": "Decide whether square brackets are balanced: é, too, is text.",
        "input_format": "One line of opening and closing square brackets.",
        "output_format": "True if they are balanced, else False.",
        "tests": [{"input": "[]", "output": "True"}, {"input": "][", "output": "False"}],
        "reader": "def reader(text):\n    return (text.strip(),)",
        "printer": "def printer(value):\n    return str(value)",
    },
}


def write(path: Path) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


def fenced(row: dict[str, Any]) -> str:
    return f"Here it is:\n```json\n{json.dumps(row, indent=1)}\n```\n"


def function_of(request: dict[str, Any]) -> str:
    """Which of GOOD's tasks a request is about."""
    return next(name for name in GOOD if f"def {name}(" in request["messages"][0]["content"])

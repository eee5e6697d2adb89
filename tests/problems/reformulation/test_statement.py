"""What counts as Python in a statement, and what is English, mathematics or the tests' own words."""

from __future__ import annotations

import pytest

from problems.reformulation.statement import python_terms

PYTHON = {
    "Given a tuple of integers, sum them.": ["tuple"],
    "Two tuples are given.": ["tuples"],
    "The input is a dict.": ["dict"],
    "Read an int and a str.": ["int", "str"],
    "The answer is a bool.": ["bool"],
    "The value is None when there is no answer.": ["None"],
    "Print True if it is prime.": ["True"],
    "Return False otherwise": ["False"],
    "A `list` of numbers.": ["`list`"],
    "A value of type List[int].": ["List[", "int"],
    "list[float] is given": ["list["],
    "Output the string as `print` does.": ["`print`"],
    "Call print(x) for each x.": ["print("],
    "Read with input() until the end.": ["input("],
    "Use sys.stdin to read.": ["sys.stdin"],
    "In Python, lists start at 0.": ["Python"],
    "Write a python function.": ["Write a python function", "python function"],
    "Write a function to find the sum.": ["Write a function"],
    "Implement a recursive function that counts.": ["Implement a recursive function"],
    "The function should count.": ["The function should"],
    "This function should count.": ["This function should"],
    "The first function argument is n.": ["function argument"],
    "def solve(n): as above": ["def solve("],
    "A dictionary with keys and values.": ["dictionary"],
    "The keys of the dictionaries.": ["dictionaries"],
    "A list object comes first.": ["list object"],
    "Read a float.": ["a float"],
    "Read positive floats.": ["positive floats"],
    "Compute find_max of it.": ["find_max"],
    "See the assertions.": ["assertions"],
}
ENGLISH = [
    "Given a list of n numbers and a set of cards, print the sum.",
    "A dictionary holds words. Print them in dictionary order.",
    "None of the numbers is negative. None are zero.",
    "A python is a snake.",
    "A string of n characters; an array; a table.",
    "The function f(x) = max(x, 0) is convex; min(a, b) too.",
    "Print the set(s), the list(s) and the range(s) found.",
    "Objects that float on water, in an integer number of boats.",
    "The keys of a piano.",
    "Let a -> b be an edge. Import the goods. Points and prints.",
    "The interval [1, 100] and the pair (2, 3).",
    "It returns to its origin; a complex number; sorted in ascending order.",
    "Print true or false.",
]


@pytest.mark.parametrize("text", PYTHON)
def test_python_is_found(text: str) -> None:
    assert python_terms(text, "find_max", []) == PYTHON[text]


@pytest.mark.parametrize("text", ENGLISH)
def test_english_is_no_python(text: str) -> None:
    assert python_terms(text, "find_max", []) == []


def test_words_that_the_tests_read_or_print_are_the_formats() -> None:
    text = "Print True if it is, otherwise False; a tuple too."
    assert python_terms(text, "f", ["5\n", "True\n", "False"]) == ["tuple"]
    assert python_terms("Print None if there is none.", "f", ["7", "None"]) == []
    assert python_terms("Print None if there is none.", "f", ["7", "none"]) == ["None"]


@pytest.mark.parametrize(
    ("function", "text", "found"),
    [
        ("sum", "Print the sum of all.", []),
        ("sum", "Compute `sum` of all.", ["`sum`"]),
        ("factorial", "Print the factorial of n.", []),
        ("factorial", "Print factorial(n).", ["factorial(n)"]),
        ("factorial", "What does the function factorial give?", ["function factorial"]),
        ("isPrime", "Print what isPrime says.", ["isPrime"]),
        ("max_of_2", "Like max_of_2, but not max_of_20.", ["max_of_2"]),
        ("c++", "nothing", []),
    ],
)
def test_the_functions_name(function: str, text: str, found: list[str]) -> None:
    assert python_terms(text, function, []) == found

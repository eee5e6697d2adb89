"""Second solutions of ladder problems: written from the statements alone, by brute force where that is feasible."""

from problems.ladder import TASKS
from problems.ladder.task import block

ROUNDS = 30


def second(solutions, growth=1.0, longest=20_000):
    """Keeps a function, from an input's lines to an output block, as the second solution of the task of its name.

    It is tried on random inputs up to that growth, and on the problem's own inputs of at most `longest` characters.
    """

    def keep(solve):
        solutions[solve.__name__] = (solve, growth, longest)
        return solve

    return keep


def check(name, solution):
    """Raises AssertionError for the first input on which reference and second solution differ."""
    task, (solve, growth, longest) = TASKS[name], solution
    inputs = [task.random_input(f"second {n}", growth * n / ROUNDS) for n in range(1, ROUNDS + 1)]
    own = [text for text in task.inputs() if len(text) <= longest]
    assert len(own) >= 3
    for text in inputs + own:
        assert task.solve(text) == block(solve(text.splitlines())), text

"""A task tested by Python assertions -> a problem for programs that read stdin and write stdout (paper section 3.1).

source.py      the tasks of a data set, and what their assertions call
prompt.py      what the model is asked, and told when its answer is refused
proposal.py    the JSON object of an answer, and whether it is whole
statement.py   words of Python in a statement
derived.py     the task's own solution, read and written for in the model's format, run in the jail

`reformulate.py` is the story.
"""

from __future__ import annotations


class Refused(Exception):
    """An answer, or a task, that is not kept. `reason` is one of REASONS, `str()` says what is wrong, for the model."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        assert reason in REASONS, reason
        self.reason = reason


REASONS = {
    # of the task: the model is not asked
    "source": "the task itself is of no use: no assertions, arguments that are no plain values, a solution that fails",
    # of an answer: the model is told, and tries again
    "cut_off": "the answer was cut off at max_new_tokens",
    "no_json": "no JSON object in the answer",
    "schema": "a key is missing, empty or of the wrong type",
    "test_count": "not as many tests as assertions",
    "python_terms": "the statement speaks of Python's types, words or the function",
    "python_values": "a test has a value in Python's notation, or more than 4 decimals",
    "hidden_test": "the statement quotes a test that is to be hidden",
    "table": "reader or printer looks the tests up, or different results are printed alike",
    "arguments": "what the reader makes of a test's input is not what the assertion calls the function with",
    "outputs": "the solution's result, printed in the model's format, is not the test's output",
    "program": "reader or printer fails",
}

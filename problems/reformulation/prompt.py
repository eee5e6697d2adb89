"""What the model is asked, and what it is told when its answer is refused.

It asks what the paper's prompt asks (appendix A), in our words, and for two small functions more: a reader and a
printer of the model's own format, with which the task's own solution is run on the tests (derived.py).
"""

from __future__ import annotations

from problems.reformulation import Refused
from problems.reformulation.source import Task

REQUEST = """\
Below is an exercise that is tested by calling a function. Rewrite it as an exercise for a complete program, in no \
particular programming language, that reads everything from standard input and writes its answer to standard output.

Rules for the exercise:
- One run of the program stands for one call: the input holds one set of arguments, the output the \
value that comes back.
- Lay input and output out as programming contests do. Put blanks and line breaks between values, not commas, \
brackets, quotes or other marks. Where it helps the reader, put the number of values on a line before them.
- A two-dimensional table takes one line for each row, its values separated by blanks: [[1, 2], [3, 4]] becomes
1 2
3 4
- Several tables are separated by one empty line.
- If the answer has decimal fractions, the output format asks for 4 digits after the point, rounded, and the tests \
show them that way. Input numbers are given as they are.
- If the answer is a collection without an order, the output format fixes one, for instance ascending.
- For a yes-or-no answer, or an answer that may be missing, the output format says which word to print.
- Spell both formats out: which value is on which line, what separates values, in what order, and what an empty \
collection looks like.
- Of the assertions, the texts may use the first as an example, and none of the others: those stay hidden.
- The reader knows nothing of Python and of the function: mention neither its name nor Python's types and literals.

Exercise:
{description}

Assertions that test it:
{assertions}
{solution}
Answer with one JSON object in a ```json block and nothing else. Its keys:
- "description": the exercise, as a text that can stand alone
- "input_format": how the input is laid out
- "output_format": how the output is laid out
- "tests": one object for each of the {count} assertions, in their order, with the keys "input" and "output": the \
whole text that the program reads and the whole text that it must print, both as strings
{functions}"""

SOLUTION = """
A Python solution of it, for your information:
{solution}
"""

FUNCTIONS = """\
- "reader": Python code that defines reader(text). It gets the input of a test and returns a tuple of the arguments \
for {function}, with exactly the values and types that the assertions use
- "printer": Python code that defines printer(value). It gets what {function} returns and gives the output as a string
Reader and printer must work for every input in your format, so neither may know the tests, and each must stand alone, \
with its own imports. The tests are then checked with them: printer({function}(*reader(input))) must be the output."""

RETRY = """\
That cannot be used: {detail}

Answer again with the whole JSON object, corrected."""


def request(task: Task, function: str) -> str:
    """The first message to the model."""
    return REQUEST.format(
        description=task.description,
        assertions="\n".join(task.assertions),
        solution=SOLUTION.format(solution=task.solution) if task.solution else "",
        count=len(task.assertions),
        functions=FUNCTIONS.format(function=function) if task.solution else "",
    ).rstrip()


def retry(refused: Refused) -> str:
    """The message after an answer that was refused."""
    return RETRY.format(detail=refused)

"""The task's own solution, run in the jail on the reformulated tests.

The program is ours: it calls the solution, unchanged, with what the model's reader makes of a test's input, and prints
what the model's printer makes of the value. Nothing of the model's decides what is called. For test n the reader must
give just what assertion n calls the function with, so a test cannot be about something else; and reader and printer
see nothing but the text and the value, so they cannot know the expected output, which never enters the jail.
"""

from __future__ import annotations

from problems.reformulation import Refused
from problems.reformulation.proposal import Proposal
from problems.reformulation.source import Calls, Task
from sandbox.job import Job, Status, Test, Verdict

LANGUAGE = "python"

ASSERTIONS = """\
import contextlib, io

space = {{"__name__": "solution"}}
with contextlib.redirect_stdout(io.StringIO()):
    exec(compile({solution!r}, "solution", "exec"), space)
    for number, line in enumerate({assertions!r}, start=1):
        exec(compile(line, "assertion " + str(number), "exec"), space)
print("all hold")
"""

# Standard input: a line with the number of the test, then its input.
DERIVED = """\
import contextlib, io, sys, traceback

def stop(reason, detail):
    sys.stderr.write(reason + ": " + detail[:600])
    sys.stderr.flush()
    sys.exit(1)

def call(name, function, *arguments):
    try:
        return function(*arguments)
    except BaseException:
        stop("program", name + " fails: " + " ".join(traceback.format_exc(limit=-1).split()))

def define(name, code):
    def run():
        space = {{"__name__": name}}
        exec(compile(code, name, "exec"), space)
        return space[name]
    return call(name, run)

def short(value):
    text = repr(value)
    return text if len(text) < 250 else text[:250] + "..."

number, _, text = sys.stdin.read().partition("\\n")
with contextlib.redirect_stdout(io.StringIO()):
    space = {{"__name__": "solution"}}
    exec(compile({solution!r}, "solution", "exec"), space)
    wanted = eval({arguments!r}[int(number)], space)
    found = call("reader", define("reader", {reader!r}), text)
    if type(found) is not tuple:
        stop("program", "reader must return a tuple of the arguments, not " + type(found).__name__)
    if found != wanted:
        stop("arguments", "reader gives " + short(found) + " where the assertion has " + short(wanted))
    value = space[{function!r}](*found)
    output = call("printer", define("printer", {printer!r}), value)
    if type(output) is not str:
        stop("program", "printer must return a string, not " + type(output).__name__)
sys.stdout.write(output)
"""


def assertions_job(task: Task) -> Job:
    """Passes where the task's solution does what its own assertions say."""
    program = ASSERTIONS.format(solution=_solution(task), assertions=list(task.assertions))
    return Job(task.id, LANGUAGE, program, (Test("", "all hold"),))


def check_assertions(verdict: Verdict) -> None:
    """Raises Refused where a task's solution fails its own assertions."""
    if not verdict.passed:
        said = " ".join(test.stderr for test in verdict.tests) or verdict.message
        why = " ".join(said.split())[-200:]
        raise Refused("source", f"the solution fails its own assertions ({verdict.status}{f': {why}' if why else ''})")


def derived_job(task: Task, proposal: Proposal, calls: Calls) -> Job:
    """Passes where reader, solution and printer turn every test's input into its output."""
    program = DERIVED.format(
        solution=_solution(task),
        arguments=list(calls.arguments),
        function=calls.function,
        reader=proposal.reader,
        printer=proposal.printer,
    )
    tests = tuple(Test(f"{number}\n{test.input}", test.output) for number, test in enumerate(proposal.tests))
    return Job(task.id, LANGUAGE, program, tests)


def check_derived(verdict: Verdict, proposal: Proposal) -> None:
    """Raises Refused, saying which test differs and how, where a test does not agree."""
    if verdict.passed:
        return
    number, result = len(verdict.tests), verdict.tests[-1]
    said = result.stderr.strip()
    reason, _, detail = said.partition(": ")
    if verdict.status is Status.WRONG_OUTPUT:
        raise Refused(
            "outputs",
            f"test {number}: the function's value, printed by printer, is {_short(result.stdout.rstrip())}, "
            f"but the test's output is {_short(proposal.tests[number - 1].output.rstrip())}",
        )
    if verdict.status is Status.RUNTIME_ERROR and reason in ("program", "arguments") and detail:
        raise Refused(reason, f"test {number}: {' '.join(detail.split())}")
    why = " ".join(said.split())[-300:]
    raise Refused("program", f"test {number}: {verdict.status.replace('_', ' ')}{f': {why}' if why else ''}")


def _solution(task: Task) -> str:
    """The solution, then what its assertions need: a set-up may use the solution's classes."""
    return f"{task.solution}\n{task.setup}\n"


def _short(text: str) -> str:
    return repr(text if len(text) < 250 else text[:250] + "...")

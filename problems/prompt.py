"""A problem and a language -> the message a model is asked with.

The sections are those of the paper's training prompt (appendix A: statement, formats, an example, notes); the words are
ours. Tests beyond the first `problem.examples` never appear in a prompt.
"""

from __future__ import annotations

from languages import Language
from problems.problem import Problem
from sandbox.job import Test

LONGEST_EXAMPLE = 10_000  # characters


def render(problem: Problem, language: Language) -> str:
    """The user's message that asks for a `language` program solving `problem`."""
    sections = [
        f"Write a {language.title} program that solves this problem.",
        f"# Problem\n{problem.statement}",
    ]
    if problem.input_format:
        sections.append(f"# Input\n{problem.input_format}")
    if problem.output_format:
        sections.append(f"# Output\n{problem.output_format}")
    sections += [example(test) for test in problem.tests[: problem.examples] if _readable(test)]
    if problem.notes:
        sections.append(f"# Notes\n{problem.notes}")
    if language.prompt:
        sections.append(f"# Language\n{language.prompt}")
    sections.append(f"Answer with the whole program in one ```{language.fence[0]} code block.")
    return "\n\n".join(sections)


def _readable(test: Test) -> bool:
    """Whether a test is short enough to be shown: some are megabytes, and would be the whole prompt."""
    return len(test.input) + len(test.output) <= LONGEST_EXAMPLE


def example(test: Test) -> str:
    """One test as a section of the prompt: what is read, what is printed."""
    return f"# Example\nInput:\n```\n{test.input.rstrip()}\n```\nOutput:\n```\n{test.output.rstrip()}\n```"


def messages(problem: Problem, language: Language, system: str | None = None) -> list[dict[str, str]]:
    """The chat that `tokenizer.apply_chat_template` takes; `system` is the model's own switch, if it has one."""
    chat = [{"role": "system", "content": system}] if system else []
    return [*chat, {"role": "user", "content": render(problem, language)}]

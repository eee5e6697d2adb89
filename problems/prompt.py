"""A problem and a language -> the message a model is asked with.

The sections are those of the paper's training prompt (appendix A: statement, formats, an example, notes); the words are
ours. Tests beyond the first `problem.examples` never appear in a prompt.
"""

from __future__ import annotations

from pathlib import Path

import jinja2

from base.errors import DataError
from languages import Language
from problems.problem import Problem
from sandbox.job import Test

LONGEST_EXAMPLE = 10_000  # characters
HEADINGS = {
    "headings": {part: f"# {part}\n" for part in ("Problem", "Input", "Output", "Example", "Notes", "Language")},
    "bold": {
        "Problem": "",
        "Input": "**Standard input**\n",
        "Output": "**Standard output**\n",
        "Example": "**Sample**\n",
        "Notes": "**Remarks**\n",
        "Language": "**Language**\n",
    },
    "plain": {"Example": "**Sample**\n"},
}


def render(problem: Problem, language: Language) -> str:
    """The user's message that asks for a `language` program solving `problem`, in the problem's style.

    The styles are those of the paper's randomised prompts (appendix A): Markdown or bold headings, or the bare parts.
    """
    parts = [
        ("Problem", problem.statement),
        ("Input", problem.input_format),
        ("Output", problem.output_format),
        *(("Example", example(test)) for test in problem.tests[: problem.examples] if readable(test)),
        ("Notes", problem.notes),
        ("Language", language.prompt),
    ]
    headings = HEADINGS[problem.style]
    sections = [headings.get(name, "") + part for name, part in parts if part]
    if problem.style == "headings":
        sections.insert(0, f"Write a {language.title} program that solves this problem.")
    # Where neither the first sentence nor a section on the language names it, the last sentence does.
    what = "program" if problem.style == "headings" or language.prompt else f"{language.title} program"
    sections.append(f"Answer with the whole {what} in one ```{language.fence[0]} code block.")
    return "\n\n".join(sections)


def readable(test: Test) -> bool:
    """Whether a test is short enough to be shown: some are megabytes, and would be the whole prompt."""
    return len(test.input) + len(test.output) <= LONGEST_EXAMPLE


def example(test: Test) -> str:
    """One test in the prompt's words: what is read, what is printed."""
    return f"Input:\n```\n{test.input.rstrip()}\n```\nOutput:\n```\n{test.output.rstrip()}\n```"


def system_message(system: str | None) -> list[dict[str, str]]:
    """What a chat begins with: the model's own switch (`model.system`), if it has one."""
    return [{"role": "system", "content": system}] if system else []


def messages(
    problem: Problem, language: Language, system: str | None = None, template: Template | None = None
) -> list[dict[str, str]]:
    """The chat that `tokenizer.apply_chat_template` takes. `template` words the message in place of `render`."""
    text = render(problem, language) if template is None else template.render(problem, language)
    return [*system_message(system), {"role": "user", "content": text}]


class Template:
    """A user's own wording: a Jinja file, its bytes kept as they are, the line end at its end too.

    The fields: statement, input_format, output_format, notes (texts, empty where a problem has none), examples (a list
    of {input, output}, those that the prompt may show), language (its title), prefix (what its file says of it).
    """

    FIELDS = ("statement", "input_format", "output_format", "examples", "notes", "language", "prefix")

    def __init__(self, path: Path) -> None:
        """Raises DataError for a file that cannot be read or is no template."""
        self.path = path
        environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
        try:
            self._template = environment.from_string(path.read_bytes().decode("utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise DataError(f"prompt.template: cannot read {path} ({reason})") from error
        except jinja2.TemplateSyntaxError as error:
            raise DataError(f"prompt.template: {path}, line {error.lineno}: {error.message}") from error

    def render(self, problem: Problem, language: Language) -> str:
        """Raises DataError for a field that there is not."""
        values = {
            "statement": problem.statement,
            "input_format": problem.input_format,
            "output_format": problem.output_format,
            "examples": [test._asdict() for test in problem.tests[: problem.examples] if readable(test)],
            "notes": problem.notes,
            "language": language.title,
            "prefix": language.prompt,
        }
        try:
            return self._template.render(values)
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError) as error:
            fields = ", ".join(self.FIELDS)
            raise DataError(f"prompt.template: {self.path}: {error}; the fields are {fields}") from error

"""Finding the program in a completion: the shapes that real models write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import languages
from sandbox.answer import extract, extract_paper
from sandbox.answer.markdown import blocks

LUA = languages.load("lua")

CASES = {
    "one tagged block": ("Here:\n```lua\nprint(1)\n```\nDone.", "print(1)\n"),
    "no block": ("print(1)", None),
    "empty": ("", None),
    "an empty block": ("```lua\n```", None),
    "untagged block": ("```\nprint(1)\n```", "print(1)\n"),
    "tag in capitals": ("```Lua\nprint(1)\n```", "print(1)\n"),
    "attributes after the tag": ("```lua title=x\nprint(1)\n```", "print(1)\n"),
    "CRLF": ("```lua\r\nprint(1)\r\nprint(2)\r\n```\r\n", "print(1)\nprint(2)\n"),
    "space after the closing fence": ("```lua\nprint(1)\n```  \nDone", "print(1)\n"),
    "tildes": ("~~~lua\nprint(1)\n~~~", "print(1)\n"),
    "a fence of the other kind inside": ("~~~lua\nprint [[\n```\n]]\n~~~", "print [[\n```\n]]\n"),
    "a shorter fence inside a longer": ("````lua\n--[[\n```\n]]\nprint(1)\n````", "--[[\n```\n]]\nprint(1)\n"),
    "the last of two versions": ("```lua\nprint(1)\n```\nBetter:\n```lua\nprint(2)\n```", "print(2)\n"),
    "an output block after the program": ("```lua\nprint(1)\n```\nOutput:\n```\n1\n```", "print(1)\n"),
    "a tagged output block, program untagged": ("```\nprint(1)\n```\nIt prints\n```text\n1\n```", "print(1)\n"),
    "an untagged output block, program untagged": ("```\nprint(1)\n```\n**Output**:\n```\n1\n```", "print(1)\n"),
    "sample input before the program": ("Input:\n```\n2 3\n```\nThe program\n```\nprint(1)\n```", "print(1)\n"),
    "only an output block": ("Output:\n```\n1\n```", None),
    "another language's tag": ("```python\nprint(1)\n```", "print(1)\n"),
    "ours before another language's": ("```lua\nprint(1)\n```\nIn Python:\n```python\nprint(2)\n```", "print(1)\n"),
    "cut off inside the program": ("```lua\nprint(1)", None),
    "cut off inside a second version": ("```lua\nprint(1)\n```\nFixed:\n```lua\nprint(", None),
    "cut off inside sample output": ("```lua\nprint(1)\n```\nOutput:\n```\n1", "print(1)\n"),
    "indented in a list": (
        "1. Do\n   ```lua\n   if x then\n     print(1)\n   end\n   ```",
        "if x then\n  print(1)\nend\n",
    ),
    "thinking, then the answer": ("<think>```lua\nerror()\n```</think>\n```lua\nprint(1)\n```", "print(1)\n"),
    "thinking's end without its start": ("hm ```lua\nerror()\n```\n</think>\n```lua\nprint(1)\n```", "print(1)\n"),
    "still thinking when cut off": ("<think>\n```lua\nprint(1)\n```\nbut", None),
    "a program that keeps its column below an indented fence": (
        "- Do\n  ```lua\nif x then\n  print(1)\nend\n  ```", "if x then\n  print(1)\nend\n",
    ),
    "a fence beside the mark of a list": ("1. ```lua\n   print(1)\n   ```", "print(1)\n"),
    "a fence beside the mark of a list, the program not": ("- ```lua\nprint(1)\n```", "print(1)\n"),
    "a fence behind a colon": ("**Answer:** ```lua\nprint(1)\n```\nDone.", "print(1)\n"),
    "a fence that a sentence names": ("I put it in ```lua\n```lua\nprint(1)\n```", "print(1)\n"),
    "a quoted answer": ("> So:\n> ```lua\n> if 2 > 1 then\n>   f()\n> end\n> ```", "if 2 > 1 then\n  f()\nend\n"),
    "Markdown around the answer": ("```markdown\nSo:\n```lua\nprint(1)\n```\nDone.\n```", "print(1)\n"),
    "Markdown in a longer fence around the answer": ("````md\nSo:\n```lua\nprint(1)\n```\n````", "print(1)\n"),
    "Markdown that is cut off": ("```markdown\nSo:\n```lua\nprint(1", None),
    "an introduction that speaks of results, no tag": ("It prints the result:\n```\nprint(1)\n```", "print(1)\n"),
    "a tag of plain text": ("Here:\n```plaintext\nprint(1)\n```", "print(1)\n"),
    "a thought of one line": ("<think></think>Here:\n```lua\nprint(1)\n```", "print(1)\n"),
    "a thought of one line, and a blank": ("<think>easy</think> So:\n```lua\nprint(1)\n```", "print(1)\n"),
    "a thought that ends within a line": ("<think>\nhm\nok.</think>Here it is:\n```lua\nprint(1)\n```", "print(1)\n"),
    "a thought that speaks of its end": ("<think>\nthen `</think>` comes, and\n```lua\nprint(1)\n```", None),
    "a fence behind a sentence": ("Here is the code ```lua\nprint(1)\n```", "print(1)\n"),
    "a fence behind a heading": ("### Solution ```lua\nprint(1)\n```", "print(1)\n"),
    "a fence in bold type": ("**```lua\nprint(1)\n```**", "print(1)\n"),
    "words of a fence": ("Begin it by ```lua and end it.\n```lua\nprint(1)\n```", "print(1)\n"),
    "a fence between tags": ("<answer>```lua\nprint(1)\n```</answer>", "print(1)\n"),
    "a fence between a template's words": (
        "<|channel|>final<|message|>```lua\nprint(1)\n```<|return|>", "print(1)\n"
    ),
    "a fence before the end of the text": ("So:\n```lua\nprint(1)\n```<|im_end|>", "print(1)\n"),
    "a fence before a full stop": ("```lua\nprint(1)\n```.\nDone.", "print(1)\n"),
    "a fence behind the last line": ("```lua\nprint(1)```\nOutput:\n```\n1\n```", "print(1)\n"),
    "a fence behind a string": ("```lua\nprint '1'```", "print '1'\n"),
    "a fence in a comment": ("```lua\n-- so: ```\n--```\nprint(1)\n```", "-- so: ```\n--```\nprint(1)\n"),
    "a fence in a string": ("```lua\nprint('```')\nprint '```'\n```", "print('```')\nprint '```'\n"),
    "a version in the tag": ("```lua5.1\nprint(1)\n```\n```python\nprint(2)\n```", "print(1)\n"),
    "a file's name in the tag": ("```lua:main.lua\nprint(1)\n```\n```python\nprint(2)\n```", "print(1)\n"),
    "attributes in braces": ("```{.lua .numberLines}\nprint(1)\n```\n```python\nprint(2)\n```", "print(1)\n"),
    "inline code is no block": ("Use ```print(1)``` here", None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_default_rule(name: str) -> None:
    completion, program = CASES[name]
    assert extract(completion, LUA) == program


def test_command_lines_are_known_behind_env() -> None:
    php = languages.load("php")
    assert php.execute.startswith("env ")
    answer = "```php\n<?php echo 1;\n```\nTo run it:\n```\nphp --version\nphp program.php\n```"
    assert extract(answer, php) == "<?php echo 1;\n"


PAPER_CASES = {
    "an output block replaces the program": ("```lua\nprint(1)\n```\nOutput:\n```\n1\n```", "1\n"),
    "a space after the closing fence gives nothing": ("```lua\nprint(1)\n``` \n", None),
    "a CR after the closing fence gives nothing": ("```lua\r\nprint(1)\r\n```\r\n", None),
    "no fence, short": ("print(1)", "print(1)"),
    "no fence, several lines": ("x" * 200 + "\ny", "x" * 200 + "\ny"),
    "no fence, long": ("x" * 200, None),
}


@pytest.mark.parametrize("name", PAPER_CASES)
def test_paper_rule(name: str) -> None:
    completion, program = PAPER_CASES[name]
    assert extract_paper(completion, LUA) == program


pieces = st.lists(
    st.sampled_from(
        ["```", "````", "~~~", "lua", "text", "\n", "\r\n", " ", "print(1)", "<think>", "</think>", "Output:"]
    )
    | st.text(max_size=5),
    max_size=40,
).map("".join)


@given(pieces)
def test_any_text_gives_a_program_or_none(completion: str) -> None:
    program = extract(completion, LUA)
    assert program is None or (program.strip() and program.endswith("\n"))
    extract_paper(completion, LUA)


@given(st.text(alphabet=st.characters(exclude_characters="`~\r<", exclude_categories=["Cs"]), min_size=1))
def test_a_tagged_block_comes_back_as_written(program: str) -> None:
    if program.strip():
        assert extract(f"Text.\n\n```lua\n{program}\n```\n", LUA) == program + "\n"


@given(pieces)
def test_only_the_last_block_can_be_open(completion: str) -> None:
    assert all(block.closed for block in blocks(completion)[:-1])

"""Finding the program in what models really wrote: completions of Qwen2.5-Coder-1.5B and SmolLM2-135M, shortened.

Those whose names begin with "as" were adapted: no model at hand writes carriage returns, tildes or thoughts.
"""

from __future__ import annotations

import pytest

import languages
from sandbox.answer import extract

WEEK = """\
local duration = tonumber(io.read("*n"))
local hours = math.floor(duration / 3600)

print(string.format("%d %d", hours, duration % 3600))
"""
ANAGRAM = """\
let () =
  let line1 = input_line stdin
  in
  let line2 = input_line stdin
  in
  if is_anagram line1 line2 then print_endline "yes"
  else print_endline "no"
"""
STONES = """\
let () =
  let open Scanf in
  let () =
    let x = read_int () in
    let y = read_int () in
    Printf.printf "The distance is %d.\\n" (abs (x - y))
  in
  () ;;
"""
BARS = """\
def solve_vertical_bar(n):
    return "###" + str(n) + "###"

def main():
    print(solve_vertical_bar(10))

main()
"""
DIVISORS = """\
# Example
def find_divisors(n):
    return sum(i * 10 for i in range(1, n + 1))

print(find_divisors(12))
"""
NUMBERS = """\
import math
def get_data():
    return [str(num) for num in input().split() if num.isdigit()]
print(len(get_data()))
"""

# language, completion, program
REAL: dict[str, tuple[str, str, str | None]] = {
    "the program and nothing else, without a last line end": ("lua", f"```lua\n{WEEK}```", WEEK),
    "another language, the same": ("ocaml", f"```ocaml\n{ANAGRAM}```", ANAGRAM),
    "what it prints, after it": (
        "python", f"```python\n{BARS}```\n\nThis will output:\n```\n###.###\n###.###\n```", BARS,
    ),
    "what it prints, named an answer": (
        "python", f"```python\n{BARS}```\n\nYour answer would be:\n```\nHello, Ada!\n```", BARS,
    ),
    "what it prints, cut off": ("python", f"```python\n{DIVISORS}```\n\nOutput:\n```\n6\n1 2 3 4 6 12", DIVISORS),
    "what it prints, introduced without a colon, cut off": (
        "python", f"```python\n{BARS}```\n\nThis program will print\n```\nq:0, factorial_of_", BARS,
    ),
    "no tag": ("python", f"```\n{NUMBERS}```\n\nIn this code, the `get_data()` function is a function.", NUMBERS),
    "no tag, cut off": ("python", f"```\n{NUMBERS}\nprint('The first player to have three in", None),
    "cut off in a loop of its own words": ("python", "```python\ndef solve(n, t):\n    return t[t[t[t[t[t[t[", None),
    "an explanation that quotes the program in a list": (
        "ocaml",
        f"Certainly! Below is an OCaml program:\n\n```ocaml\n{STONES}```\n\n### Explanation:\n2. **Main Program**:\n"
        "   - **Read Input**:\n     ```ocaml\n     let x = read_int () in\n     let y = read_int () in\n     ```\n"
        "     This reads the two coordinates.\n\n3. **End of Program**:\n   ```ocaml\n   in\n   ()\n   ```\n"
        "   This ensures that the program ends.\n\n### Example Usage:\nTo run this program, save it to",
        STONES,
    ),
    "the same explanation, cut off in a quotation": (
        "ocaml",
        f"```ocaml\n{STONES}```\n\n1. **Read Input**:\n   ```ocaml\n   let x = read_int",
        STONES,
    ),
    "a second version, said to be another solution": (
        "python",
        f"```python\n{BARS}```\n\nThis is an example of a solution that uses a loop.\n\n```python\n{DIVISORS}```",
        DIVISORS,
    ),
    "a faster version, cut off": (
        "python",
        f"```python\n{BARS}```\n\nThis can be optimized using a for-loop, which is much more efficient:\n\n"
        "```python\ndef max_sum_day_range_loop(days, max_values):\n    max_values = max(",
        None,
    ),
    "one line without a tag, after the program": (
        "python",
        f'```python\n{BARS}```\n\nHere\'s how to use the standard library\n```\nprint("banana")\n```',
        BARS,
    ),
    "empty blocks until the tokens ran out": (
        "python", f"```python\n{BARS}```\n\n```\n```\n\n```\n\n```\n\n```\n", BARS,
    ),
    "the statement repeated as a program, its example's fence inside": (
        "python",
        "```python\n# Input\nThe first line has the number of villages n.\n\n# Example\nInput:\n```\n4\n0 8 3 6\n```\n"
        "Output:\n```\n17\n```\n\nThis problem is a classic example of a recursive solution.",
        "# Input\nThe first line has the number of villages n.\n\n# Example\nInput:\n",  # it is none, and will fail
    ),
    "no block at all": ("python", "The first line has the number of villages n (2 to 10). Output: 17", None),
    "as written on Windows": (
        "python",
        f"```python\n{BARS}```\n\nThis will output:\n```\n###.###\n```\n".replace("\n", "\r\n"),
        BARS,
    ),
    "as written on Windows, cut off in the output": (
        "python", f"```python\n{DIVISORS}```\n\nOutput:\n```\n6\n1 2".replace("\n", "\r\n"), DIVISORS,
    ),
    "as fenced by tildes, with a fence in a comment": (
        "lua", f"~~~lua\n--[[\n```\nexample\n```\n]]\n{WEEK}~~~\n", f"--[[\n```\nexample\n```\n]]\n{WEEK}",
    ),
    "as fenced in a longer fence that quotes Markdown": (
        "ocaml", f"````ocaml\n(*\n```\n3 4\n```\n*)\n{ANAGRAM}````\n", f"(*\n```\n3 4\n```\n*)\n{ANAGRAM}",
    ),
    "as thought about first, with a draft": (
        "ocaml",
        f"<think>\nMaybe\n```ocaml\nlet () = Printf.printf\n```\nNo: two lines.\n</think>\n\n```ocaml\n{ANAGRAM}```",
        ANAGRAM,
    ),
    "as thought about, the template having opened the thought": (
        "lua", f"Hours are 3600 s. Output:\n```\n1 0\n```\nGood.\n</think>\n\n```lua\n{WEEK}```", WEEK,
    ),
    "as thought about until the tokens ran out": (
        "lua", f"<think>\nA first try:\n```lua\n{WEEK}```\nWait, what about minutes", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_real_completions(name: str) -> None:
    language, completion, program = REAL[name]
    assert extract(completion, languages.load(language)) == program

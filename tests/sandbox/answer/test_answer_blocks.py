"""Answers of several code blocks: which is the program, in languages that share no syntax."""

from __future__ import annotations

import itertools
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import languages
from sandbox.answer import extract

# A whole program of each of several languages: the sum of the digits of a number, by a function of its own.
WHOLE = {
    "lua": "local function digits(n)\n  local s = 0\n  while n > 0 do s = s + n % 10; n = n // 10 end\n"
           "  return s\nend\n\n"
           'print(digits(io.read("*n")))\n',
    "python": "def digits(n):\n    return sum(int(c) for c in str(n))\n\n\nn = int(input())\nprint(digits(n))\n",
    "c": "#include <stdio.h>\n\nint digits(int n) {\n    return n ? n % 10 + digits(n / 10) : 0;\n}\n\n"
         "int main(void) {\n"
         '    int n;\n    scanf("%d", &n);\n    printf("%d\\n", digits(n));\n    return 0;\n}\n',
    "ocaml": "let rec digits n = if n = 0 then 0 else n mod 10 + digits (n / 10)\n\n"
             "let () = Scanf.scanf \" %d\" (fun n -> print_int (digits n))\n",
    "haskell": "digits :: Int -> Int\ndigits 0 = 0\ndigits n = n `mod` 10 + digits (n `div` 10)\n\nmain :: IO ()\n"
               "main = readLn >>= print . digits\n",
    "javascript": "const digits = (n) => (n ? (n % 10) + digits(Math.floor(n / 10)) : 0);\n\n"
                  'const n = Number(require("fs").readFileSync(0, "utf8"));\nconsole.log(digits(n));\n',
    "java": "import java.util.Scanner;\n\npublic class Main {\n    static int digits(int n) {\n"
            "        return n == 0 ? 0 : n % 10 + digits(n / 10);\n    }\n\n"
            "    public static void main(String[] args) {\n"
            "        System.out.println(digits(new Scanner(System.in).nextInt()));\n    }\n}\n",
    "go": 'package main\n\nimport "fmt"\n\nfunc digits(n int) int {\n\tif n == 0 {\n\t\treturn 0\n\t}\n'
          "\treturn n%10 + digits(n/10)\n}\n\nfunc main() {\n\tvar n int\n\tfmt.Scan(&n)\n"
          "\tfmt.Println(digits(n))\n}\n",
    "perl": "sub digits { my ($n) = @_; my $s = 0; $s += $_ for split //, $n; return $s }\n\nmy $n = <STDIN>;\n"
            "chomp $n;\n"
            "print digits($n), \"\\n\";\n",
    "ruby": "def digits(n)\n  n.digits.sum\nend\n\nputs digits(gets.to_i)\n",
    "racket": "#lang racket\n(define (digits n)\n  (if (= n 0) 0 (+ (remainder n 10) (digits (quotient n 10)))))\n\n"
              "(displayln (digits (read)))\n",
    "fortran": "program main\n  integer :: n\n  read (*, *) n\n  print *, digits(n)\ncontains\n"
               "  recursive integer function digits(n) result(s)\n    integer, intent(in) :: n\n    s = 0\n"
               "    if (n > 0) s = mod(n, 10) + digits(n / 10)\n  end function\nend program\n",
    "prolog": "digits(0, 0).\ndigits(N, S) :- N > 0, M is N // 10, digits(M, T), S is T + N mod 10.\n\n"
              "main :- read_term(N, []), digits(N, S), format(\"~w~n\", [S]).\n",
    "bash": "digits() {\n  local n=$1 s=0\n  while (( n > 0 )); do (( s += n % 10, n /= 10 )); done\n"
            "  echo \"$s\"\n}\n\n"
            'read -r n\ndigits "$n"\n',
    "forth": ": digits ( n -- s ) 0 swap begin dup while 10 /mod >r + r> repeat drop ;\n"
             "create line 100 allot\n"
             ": main line 100 stdin read-line throw drop line swap s>number? 2drop digits . cr ;\nmain\n",
    "tcl": "proc digits {n} {\n  set s 0\n  foreach c [split $n \"\"] { incr s $c }\n  return $s\n}\n\n"
           "gets stdin n\nputs [digits $n]\n",
}  # fmt: skip

# A call of its function, with the result known beforehand.
CALL = {
    "lua": "print(digits(123)) -- 6\n", "python": "print(digits(123))  # 6\n", "ruby": "puts digits(123)\n",
    "c": '#include <stdio.h>\n\nint main(void) {\n    printf("%d\\n", digits(123));\n}\n',
    "ocaml": "let () = print_int (digits 123)\n", "haskell": "main = print (digits 123)\n",
    "javascript": "console.log(digits(123)); // 6\n",
    "java": "public class Demo {\n    public static void main(String[] args) {\n"
            "        System.out.println(Main.digits(123));\n    }\n}\n",
    "go": "func main() {\n\tfmt.Println(digits(123))\n}\n", "perl": 'print digits(123), "\\n";\n',
    "racket": "(displayln (digits 123))\n", "fortran": "print *, digits(123)\n",
    "prolog": '?- digits(123, S), format("~w", [S]).\n', "bash": "digits 123\n", "forth": "123 digits . cr\n",
    "tcl": "puts [digits 123]\n",
}  # fmt: skip


def answer(*parts: tuple[str, str] | str, tag: str) -> str:
    """Sentences, and blocks given as (code,) with the tag or (code, tag)."""
    return "\n\n".join(part if isinstance(part, str) else f"```{part[1]}\n{part[0]}```" for part in parts) + "\n"


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("tagged", [True, False])
def test_a_call_below_the_program_is_not_run_in_its_place(name: str, tagged: bool) -> None:
    language, tag = languages.load(name), languages.load(name).fence[0] if tagged else ""
    text = f"Here:\n\n```{tag}\n{WHOLE[name]}```\n\nTry it by hand:\n\n```{tag}\n{CALL[name]}```\n"
    assert extract(text, language) == WHOLE[name]


@pytest.mark.parametrize("name", WHOLE)
def test_a_last_whole_program_wins_whatever_stands_above_it(name: str) -> None:
    tag = languages.load(name).fence[0]
    wrong = WHOLE[name].replace("10", "11")
    for above in (wrong, CALL[name]):
        text = f"```{tag}\n{above}```\n\nNo. Corrected:\n\n```{tag}\n{WHOLE[name]}```\n"
        assert extract(text, languages.load(name)) == WHOLE[name]


@pytest.mark.parametrize("name", WHOLE)
def test_an_excerpt_that_is_not_indented_is_no_program(name: str) -> None:
    tag, lines = languages.load(name).fence[0], WHOLE[name].split("\n")
    for part in (lines[:2], lines[1:3], lines[-3:]):
        excerpt = "\n".join(line.strip() for line in part if line.strip())
        text = f"```{tag}\n{WHOLE[name]}```\n\nThis part does the work:\n\n```{tag}\n{excerpt}\n```\n"
        assert extract(text, languages.load(name)) == WHOLE[name]


@pytest.mark.parametrize("name", WHOLE)
def test_sessions_commands_and_output_are_no_programs(name: str) -> None:
    language = languages.load(name)
    tag, file = language.fence[0], language.filename
    asides = [
        ">>> digits(123)\n6\n",
        f"$ {language.execute} < input.txt\n6\n",
        f"{(language.compile or language.execute).splitlines()[0]}\n",
        f"echo 123 | {language.execute}\n" if file in language.execute else "echo 123 | ./program\n",
        "6\n",
        "> digits(123)\n[1] 6\n",
    ]
    for aside in asides:
        text = f"```{tag}\n{WHOLE[name]}```\n\nRun it:\n\n```{tag}\n{aside}```\n"
        assert extract(text, language) == WHOLE[name], aside
    text = f"```{tag}\n{WHOLE[name]}```\n\nOutput:\n\n```{tag}\nthe sum is six\n```\n"
    assert extract(text, language) == WHOLE[name]


@pytest.mark.parametrize("name", ["lua", "python", "ocaml", "javascript", "perl", "ruby", "racket", "bash", "tcl", "c"])
def test_a_function_and_the_main_part_in_blocks_of_their_own_are_joined(name: str) -> None:
    language = languages.load(name)
    first, _, second = WHOLE[name].rpartition("\n\n\n" if name == "python" else "\n\n")
    function, main = first + "\n", second
    for blocks in ((function, main), (main, function)):
        text = "\n\nThen:\n\n".join(f"```{language.fence[0]}\n{block}```" for block in blocks)
        program = extract(text, language)
        assert program is not None and program.split() == WHOLE[name].split()


# language, blocks of an answer in order, the program
CASES: dict[str, tuple[str, list[str], str]] = {
    "a main function and its call": (
        "python",
        ["def main():\n    print(int(input()) * 2)\n", "main()\n"],
        "def main():\n    print(int(input()) * 2)\nmain()\n",
    ),
    "a program in three parts": (
        "python",
        ["a = int(input())\n", "b = a * a\n", "print(b)\n"],
        "a = int(input())\nb = a * a\nprint(b)\n",
    ),
    "a reader, a solver, a main part": (
        "lua",
        ['local function numbers()\n  return io.read("*n", "*n")\nend\n', "local function larger(a, b)\n  "
         "return a > b and a or b\nend\n", "print(larger(numbers()))\n"],
        'local function numbers()\n  return io.read("*n", "*n")\nend\nlocal function larger(a, b)\n  '
        "return a > b and a or b\nend\nprint(larger(numbers()))\n",
    ),
    "parts, and then the whole": (
        "python",
        ["def f(x):\n    return x + 1\n", "x = int(input())\n", "def f(x):\n    return x + 1\n\n"
         "print(f(int(input())))\n"],
        "def f(x):\n    return x + 1\n\nprint(f(int(input())))\n",
    ),
    "imports of two blocks": (
        "java",
        ["import java.util.List;\nclass Sum {\n    static int of(List<Integer> all) { return all.size(); }\n}\n",
         "import java.util.*;\npublic class Main {\n    public static void main(String[] a) {\n"
         "        System.out.println(Sum.of(List.of(new Scanner(System.in).nextInt())));\n    }\n}\n"],
        "import java.util.List;\nimport java.util.*;\nclass Sum {\n    static int of(List<Integer> all) "
        "{ return all.size(); }\n}\npublic class Main {\n    public static void main(String[] a) {\n"
        "        System.out.println(Sum.of(List.of(new Scanner(System.in).nextInt())));\n    }\n}\n",
    ),
    "a unit test": (
        "python",
        [WHOLE["python"], "import unittest\n\n\nclass T(unittest.TestCase):\n    def test(self):\n        "
         "self.assertEqual(digits(12), 3)\n\n\nunittest.main()\n"],
        WHOLE["python"],
    ),
    "a test that feeds standard input": (
        "python",
        [WHOLE["python"], "import io, sys\nsys.stdin = io.StringIO('12')\nprint(digits(int(input())))\n"],
        WHOLE["python"],
    ),
    "a Rust test module": (
        "rust",
        ["use std::io;\nfn f(n: i64) -> i64 { n }\nfn main() {\n    let mut s = String::new();\n"
         '    io::stdin().read_line(&mut s).unwrap();\n    println!("{}", f(s.trim().parse().unwrap()));\n}\n',
         "#[cfg(test)]\nmod tests {\n    #[test]\n    fn one() { assert_eq!(super::f(1), 1); }\n}\n"],
        "use std::io;\nfn f(n: i64) -> i64 { n }\nfn main() {\n    let mut s = String::new();\n"
        '    io::stdin().read_line(&mut s).unwrap();\n    println!("{}", f(s.trim().parse().unwrap()));\n}\n',
    ),
    "a correction that leaves a prompt out": (
        "python",
        ['print("Number?")\nn = int(input())\nprint(n * n)\n', "n = int(input())\nprint(n * n)\n"],
        "n = int(input())\nprint(n * n)\n",
    ),
    "a correction that leaves the last line out": (
        "lua",
        ['local n = io.read("*n")\nprint(n)\nprint("done")\n', 'local n = io.read("*n")\nprint(n)\n'],
        'local n = io.read("*n")\nprint(n)\n',
    ),
    "a correction by the library's function": (
        "python",
        ["def gcd(a, b):\n    return gcd(b, a)\nprint(gcd(*map(int, input().split())))\n",
         "from math import gcd\nprint(gcd(*map(int, input().split())))\n"],
        "from math import gcd\nprint(gcd(*map(int, input().split())))\n",
    ),
    "a program without input, and a call with another number": (
        "lua",
        ["local function f(n) return n * n end\nprint(f(10))\n", "print(f(12))\n"],
        "local function f(n) return n * n end\nprint(f(10))\n",
    ),
    "a shell program and how it is run": (
        "bash", ["read -r a b\necho $((a + b))\n", "chmod +x program.sh\n./program.sh < input.txt\n"],
        "read -r a b\necho $((a + b))\n",
    ),
    "a query and a row of its output": (
        "sql", ["select sum(line) from input;\n", "select 6;\n"], "select sum(line) from input;\n",
    ),
    "a call that reads": (
        "lua",
        ["local function solve(n) return n * n end\nprint(solve(io.read('*n')))\n",
         "local n = tonumber(io.read())\nprint(solve(n))\n"],
        "local function solve(n) return n * n end\nprint(solve(io.read('*n')))\n",
    ),
    "a main part that reads by the functions above": (
        "lua",
        ["local function get() return io.read('*n') end\nlocal function show(n) print(n) end\n",
         "show(get())\nio.write(io.read('*l'))\n"],
        "local function get() return io.read('*n') end\nlocal function show(n) print(n) end\n"
        "show(get())\nio.write(io.read('*l'))\n",
    ),
    "a session in a comment of the program": (
        "python",
        ['def f(n):\n    """Its square.\n\n    >>> f(3)\n    9\n    """\n    return n * n\n\nprint(f(int(input())))\n',
         "print(f(4))\n"],
        'def f(n):\n    """Its square.\n\n    >>> f(3)\n    9\n    """\n    return n * n\n\nprint(f(int(input())))\n',
    ),
    "an index that is called test": (
        "python",
        ["results = {}\nfor test in range(int(input())):\n    results[test] = input()\nprint(results)\n", "print(4)\n"],
        "results = {}\nfor test in range(int(input())):\n    results[test] = input()\nprint(results)\n",
    ),
    "an array that is called test": (
        "perl", ["my @test = <STDIN>;\nprint scalar(@test);\n", "print 4;\n"],
        "my @test = <STDIN>;\nprint scalar(@test);\n",
    ),
    "the shell's word test": (
        "bash", ['read -r n\ntest "$n" -gt 0 || exit\necho $n\n', "echo 4\n"],
        'read -r n\ntest "$n" -gt 0 || exit\necho $n\n',
    ),
    "a program with its own tests": (
        "rust",
        ["use std::io;\nfn f(n: i64) -> i64 { n }\nfn main() {\n    let mut s = String::new();\n"
         '    io::stdin().read_line(&mut s).unwrap();\n    println!("{}", f(s.trim().parse().unwrap()));\n}\n'
         "#[cfg(test)]\nmod tests {\n    #[test]\n    fn one() { assert_eq!(super::f(1), 1); }\n}\n",
         'fn main() {\n    println!("{}", f(4));\n}\n'],
        "use std::io;\nfn f(n: i64) -> i64 { n }\nfn main() {\n    let mut s = String::new();\n"
        '    io::stdin().read_line(&mut s).unwrap();\n    println!("{}", f(s.trim().parse().unwrap()));\n}\n'
        "#[cfg(test)]\nmod tests {\n    #[test]\n    fn one() { assert_eq!(super::f(1), 1); }\n}\n",
    ),
    "an awk program and a function's call": (
        "awk", ["function sq(x) { return x * x }\n{ print sq($1) }\n", "BEGIN { print sq(4) }\n"],
        "function sq(x) { return x * x }\n{ print sq($1) }\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_several_blocks(case: str) -> None:
    name, blocks, program = CASES[case]
    tag = languages.load(name).fence[0]
    text = "\n\nThen:\n\n".join(f"```{tag}\n{block}```" for block in blocks)
    assert extract(text, languages.load(name)) == program


LUA = languages.load("lua")
SAYS = 'print("<think>")\nlocal s = [[\n</think>\n]]\nprint(io.read("*n")) -- </think>\n'
THOUGHTS = {
    "tags in a program": (f"```lua\n{SAYS}```\n", SAYS),
    "tags in a program, after a thought": (f"<think>\nhm\n</think>\n```lua\n{SAYS}```\n", SAYS),
    "tags in a draft": (f"<think>\n```lua\n{SAYS}```\nno\n</think>\n```lua\nprint(1)\n```\n", "print(1)\n"),
    "a sentence on tags": ("```lua\nprint(1)\n```\nIt prints <think> first and </think> last.\n", "print(1)\n"),
    "quoted tags at the end of a line": ('```lua\nprint(1)\n```\nIt prints "</think>"\nor `</think>`\n', "print(1)\n"),
    "a draft left open": ("<think>\n```lua\nprint(\n</think>\n\n```lua\nprint(1)\n```\n", "print(1)\n"),
    "a draft left open, no tag below": ("<think>\n```lua\nprint(\n</think>\n\n```\nprint(1)\n```\n", "print(1)\n"),
    "a draft left open, output below": (
        "a\n```lua\nprint(\n</think>\nSo:\n```lua\nprint(1)\n```\nOutput:\n```\n1\n```\n", "print(1)\n",
    ),
    "two thoughts": ("<think>a</think>b\n<think>\nc\n</think>\n```lua\nprint(1)\n```", "print(1)\n"),
    "a second thought, cut off": ("<think>\na\n</think>\n```lua\nprint(1)\n```\n<think>\nno", None),
}  # fmt: skip


@pytest.mark.parametrize("case", THOUGHTS)
def test_words_that_look_like_tags(case: str) -> None:
    completion, program = THOUGHTS[case]
    assert extract(completion, LUA) == program


def test_what_is_cut_off_below_the_program_can_be_an_aside() -> None:
    whole = f"```lua\n{WHOLE['lua']}```\n\n"
    for aside in ("print(digits(12", ">>> digits(", "$ lua prog", "6\n7\n"):
        assert extract(f"{whole}```lua\n{aside}", LUA) == WHOLE["lua"], aside
    for version in ("local n = io.read(", "local function digi"):
        assert extract(f"{whole}```lua\n{version}", LUA) is None, version


def test_a_program_without_a_tag_is_found_beside_a_tagged_call() -> None:
    assert extract(f"```\n{WHOLE['lua']}```\nSo:\n```lua\n{CALL['lua']}```\n", LUA) == WHOLE["lua"]


code = st.text(st.characters(exclude_characters="`~\r\0", exclude_categories=["Cs"]), max_size=60).map(
    lambda t: t + "\n"
)


@given(st.lists(st.tuples(st.sampled_from(["lua", "", "python", "text"]), code), min_size=1, max_size=4))
def test_what_is_found_was_written(blocks: list[tuple[str, str]]) -> None:
    text = "\n".join(f"x\n```{tag}\n{block}```" for tag, block in blocks)
    program = extract(text, LUA)
    if program is not None:
        written = [line for _, block in blocks for line in block.split("\n")]
        assert all(line in written for line in program.split("\n"))


@given(code.filter(str.strip), st.sampled_from(sorted(languages.names())))
def test_one_block_is_the_program_whatever_it_holds(block: str, name: str) -> None:
    language = languages.load(name)
    if "<" not in block:
        assert extract(f"Text.\n```{language.fence[0]}\n{block}```\nText.", language) == block


PROOFS = ("sum", "wrong", "mean", "sort", "until_eof", "echo")  # programs that read and print, in every language


@pytest.mark.parametrize("name", languages.names())
def test_in_every_language_the_last_of_two_programs_wins(name: str) -> None:
    language, programs = languages.load(name), yaml.safe_load((languages.FOLDER / f"proofs/{name}.yaml").read_text())
    for first, second in itertools.permutations(PROOFS, 2):
        text = f"```{language.fence[0]}\n{programs[first]}```\nBetter:\n```{language.fence[0]}\n{programs[second]}```\n"
        assert extract(text, language) == programs[second], (first, second)


@pytest.mark.parametrize("name", languages.names())
def test_in_every_language_what_is_no_program_is_passed_over(name: str) -> None:
    language, programs = languages.load(name), yaml.safe_load((languages.FOLDER / f"proofs/{name}.yaml").read_text())
    for program in (programs[proof] for proof in PROOFS):
        middle = program.split("\n")[1] if program.count("\n") > 3 else "3"
        run = language.compile or language.execute
        run = f"$ {run}" if "\n" in run or run.startswith("exec") else run
        for aside in ("3\n", f"{run}\n", ">>> 1 + 2\n3\n", f"{middle.strip()}\n"):
            for tag in (language.fence[0], ""):
                text = f"```{tag}\n{program}```\nSo:\n```{tag}\n{aside}```\n"
                assert extract(text, language) == program, aside


@pytest.mark.parametrize(
    "line",
    ["a ", "a, ", " ", "\t", "a(", "x = ", "(define ", '"', "function ", "a:", "int a", "\n", "- ", "[", "a\n"],
)
def test_a_loop_of_the_model_costs_no_time(line: str) -> None:
    block = line * (100_000 // len(line))
    start = time.process_time()
    extract(f"```lua\n{WHOLE['lua']}```\nx\n```lua\n{block}\n```\ny\n```lua\n{block}b\n```\n", LUA)
    extract("```lua\nprint(1)\n```\n" * 2000, LUA)
    extract("".join(f"```lua\nlocal x{n} = x{n - 1}\n```\n" for n in range(200)), LUA)
    assert time.process_time() - start < 10

"""Programs of every fate in several languages, made from a number: what the soak and the differential tests run."""

from __future__ import annotations

import random
from dataclasses import replace

from base.limits import Limits
from sandbox.job import Job, Status, Test

LIMITS = Limits(compile_s=30, test_s=20, program_s=60, memory_mb=128)
SHORT = replace(LIMITS, test_s=0.4, wall_s=0.4)

# Programs that read n integers after their count; {0} is a number that makes each program another one.
PROGRAMS: dict[str, dict[str, str]] = {
    "lua": {
        "sum": "local n, s = io.read('*n'), {0} for _ = 1, n do s = s + io.read('*n') end print(s - {0})",
        "largest": "local n, m = io.read('*n'), -1e9 - {0} for _ = 1, n do m = math.max(m, io.read('*n')) end print(m)",
        "wrong": "print({0} .. 'no')",
        "silent": "local x = {0}",
        "half": "local n = io.read('*n') if n > 3 then error('{0}') end"
        " local s = 0 for _ = 1, n do s = s + io.read('*n') end print(s)",
        "crash": "io.write('begun') error('{0}')",
        "syntax": "print({0}",
        "exit": "print(1) os.exit({0} % 200 + 1)",
        "loop": "local x = {0} while true do end",
        "flood": "while true do io.write(('{0}'):rep(999)) end",
        "memory": "local t = {{}} for i = 1, 1e9 do t[i] = ('x'):rep(1e6) .. i .. {0} end",
    },
    "python": {
        "sum": "n = int(input()) + 0 * {0}\nprint(sum(map(int, input().split())))",
        "largest": "input()\nprint(max(*map(int, input().split()), -10**9 - {0}))",
        "wrong": "print('{0}no')",
        "silent": "x = {0}",
        "half": "n = int(input())\nassert n <= 3, {0}\nprint(sum(map(int, input().split())))",
        "crash": "print('begun', end='')\nraise ValueError({0})",
        "syntax": "print({0}",
        "exit": "print(1)\nraise SystemExit({0} % 200 + 1)",
        "loop": "x = {0}\nwhile True: pass",
        "flood": "while True: print('{0}' * 999)",
        "memory": "x = [b'x' * 10**6 * (i + 1) for i in range(10**6)], {0}",
    },
    "sh": {
        "sum": "read n; s={0}; for x in $(cat); do s=$((s + x)); done; echo $((s - {0}))",
        "largest": "read n; m=-1000000{0}; for x in $(cat); do [ $x -gt $m ] && m=$x; done; echo $m",
        "wrong": "echo {0}no",
        "silent": "x={0}",
        "half": "read n; [ $n -le 3 ] || exit {0}1; s=0; for x in $(cat); do s=$((s + x)); done; echo $s",
        "crash": "printf begun; kill -SEGV $$ # {0}",
        "syntax": "if {0}",
        "exit": "echo 1; exit $(({0} % 200 + 1))",
        "loop": "x={0}; while :; do :; done",
        "flood": "yes {0}",
        "memory": "x={0}; head -c 500000000 /dev/zero | tail -n 1",
    },
}
FATES = {
    "sum": Status.PASSED,
    "largest": Status.PASSED,
    "wrong": Status.WRONG_OUTPUT,
    "silent": Status.WRONG_OUTPUT,
    "half": Status.RUNTIME_ERROR,
    "crash": Status.RUNTIME_ERROR,
    "syntax": Status.RUNTIME_ERROR,
    "exit": Status.RUNTIME_ERROR,
    "loop": Status.TIMEOUT,
    "flood": Status.OUTPUT_LIMIT,
    "memory": Status.MEMORY_LIMIT,
}
RARE = {"loop": 1, "memory": 1, "flood": 1}  # they take long: one for every ten of the others


def jobs(languages: list[str], count: int, seed: int = 0) -> list[tuple[Job, Status]]:
    """`count` jobs, no two with the same program and tests, each with the verdict that is right by construction."""
    rng = random.Random(seed)
    fates = list(FATES)
    weights = [RARE.get(fate, 10) for fate in fates]
    made = []
    for number in range(count):
        language = languages[number % len(languages)]
        (fate,) = rng.choices(fates, weights)
        lists = [[rng.randint(-1000, 1000) for _ in range(size)] for size in (1, 3, 8)]
        answer = max if fate == "largest" else sum
        tests = tuple(Test(f"{len(x)}\n{' '.join(map(str, x))}\n", f"{answer(x)}\n") for x in lists)
        program = PROGRAMS[language][fate].format(number)
        limits = SHORT if fate == "loop" else LIMITS
        made.append((Job(f"{language}-{fate}-{number}", language, program, tests, limits=limits), FATES[fate]))
    return made

"""Sources that attack through the compiler, in C and Fortran; the Fortran root file system has gcc too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

import languages
from base.limits import Limits
from sandbox.job import Job, Status, Test
from sandbox.pool import Pool, toolchain

pytestmark = pytest.mark.slow  # its root file system takes half a minute to build

LIMITS = Limits(compile_s=3, test_s=2, wall_s=2, program_s=10, memory_mb=256, disk_mb=128)
GOOD = {"gcc": '#include <stdio.h>\nint main(void) { puts("held"); }', "fortran": "print '(A)', 'held'\nend"}
FAILS = {"compile_error", "memory_limit", "timeout", "output_limit"}
MACROS = (
    "\n".join(f"#define m{n} " + f"m{n - 1} " * 20 for n in range(1, 12))
    + "\n#define m0 x;\nint x; int f(void) { m11 }"
)
BOMBS = {
    "endless include": ("gcc", '#include "/dev/zero"', FAILS),
    "random include": ("gcc", '#include "/dev/urandom"', FAILS),
    "own memory": ("gcc", '#include "/proc/self/mem"', FAILS),
    "itself": ("gcc", '#include "program.c"\n#include "program.c"', FAILS),
    "macros": ("gcc", MACROS, FAILS),
    "nesting": ("gcc", "int x = " + "(" * 500_000 + "1" + ")" * 500_000 + ";", FAILS),
    "huge data": ("gcc", "char x[1ull << 40] = {1}; int main(void) { return x[5]; }", FAILS),
    "huge zeros": ("gcc", "char x[1ull << 36]; int main(void) { return x[5] + 1; }", FAILS | {"runtime_error"}),
    "endless assembly": ("gcc", '__asm__(".rept 2000000000\\n.quad 1\\n.endr");', FAILS),
    "errors": ("gcc", "\n".join(f"undeclared{n};" for n in range(200_000)), FAILS),
    "host's secrets": ("gcc", '__asm__(".incbin \\"/etc/shadow\\""); int main(void) { return 0; }', FAILS),
    "host's files": ("gcc", '#include "/root/.bashrc"\nint main(void) { return 0; }', FAILS),
    "another's file": ("gcc", '#include "/tmp/left.h"\nint main(void) { return 0; }', FAILS),
    "endless Fortran include": ("fortran", "include '/dev/zero'\nend", FAILS),
    "Fortran constant": ("fortran", "integer, parameter :: x(100000000) = [(i, i = 1, 100000000)]\nend", FAILS),
    "constructor": ("gcc",
                    'void _exit(int);\n__attribute__((constructor)) void f(void) { _exit(0); } int main(void) {}',
                    {"wrong_output"}),
    "wrong machine code": ("gcc", '__asm__(".global main\\nmain: .byte 0x0f, 0x0b");', {"runtime_error"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    fortran = toolchain(languages.load("fortran"))
    gcc = replace(fortran, language="gcc", filename="program.c", compile="gcc -O1 -o program program.c")
    with Pool([gcc, fortran], workers=1) as pool:
        yield pool


@pytest.mark.parametrize("name", BOMBS)
def test_compile_bomb(pool: Pool, name: str) -> None:
    language, source, right = BOMBS[name]
    bomb, good = pool.verify(
        [
            Job(name, language, source, (Test("", "held"),), limits=LIMITS),
            Job(
                "good",
                language,
                GOOD[language],
                (Test("", "held"),),
                limits=replace(LIMITS, compile_s=20, program_s=30),
            ),
        ]
    )
    assert bomb.status.value in right, bomb
    assert good.status is Status.PASSED, good


def test_the_compiler_leaves_no_file_for_the_next(pool: Pool) -> None:
    leave = (
        '__asm__(".pushsection .note\\n.popsection"); int main(void) { return system("touch /tmp/left.h; echo held"); }'
    )
    first, second = pool.verify(
        [
            Job("leave", "gcc", "#include <stdlib.h>\n" + leave, (Test("", "held"),)),
            Job(
                "look",
                "gcc",
                '#if __has_include("/tmp/left.h")\n#error left\n#endif\n' + GOOD["gcc"],
                (Test("", "held"),),
            ),
        ]
    )
    assert first.status is second.status is Status.PASSED, (first, second)

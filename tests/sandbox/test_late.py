"""Where there are no namespaces, an interpreter's tests begin as copies of the program's first (driver/warm.c, LATE).

Here as the container's root; tests/sandbox/test_container.py runs these in simulated containers, too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from sandbox import protection
from sandbox.driver.binaries import Binaries, Level
from sandbox.driver.messages import EXITED
from sandbox.jail import Jail, Run, Toolchain
from sandbox.protection import SCOPES_SIGNALS
from tests.sandbox.conftest import Start
from tests.sandbox.test_python_end import AT_THE_END, EXIT_CODES
from tests.sandbox.test_warm import GIVEN_UP, SHOW

VARIES = rb"0x\w+|/proc/\d+|agnostics-jail-\w+"  # addresses, numbers of processes, the folder of a user's jail


@pytest.fixture(scope="module")
def found() -> Binaries:
    """Of a jail without namespaces."""
    best = protection.find(use_cgroups=False)
    if best.binaries and best.binaries.level is Level.NAMESPACES:
        if os.geteuid():
            pytest.skip("needs root, or a container")
        best = protection.find(use_cgroups=False, level=Level.CONTAINER_ROOT)
    assert best.binaries, best.why
    return best.binaries


@pytest.fixture(scope="module")
def start(found: Binaries) -> Iterator[Start]:
    """One jail for each toolchain."""
    jails: dict[Toolchain, Jail] = {}

    def start(chain: Toolchain) -> Jail:
        if chain not in jails:
            jails[chain] = Jail(chain, 7, None, found)
        return jails[chain]

    yield start
    for jail in jails.values():
        jail.close()


def seen(jail: Jail, program: str, tests: int = 4) -> list[tuple[object, ...]]:
    """What can be known of each test, but for what differs between any two."""
    runs: list[Run] = list(jail.run(program, [f"{n}\n" for n in range(tests)], jail.toolchain.limits, ahead=True))
    return [(r.outcome, r.code, *(re.sub(VARIES, b"", text) for text in (r.stdout, r.stderr))) for r in runs]


def same(start: Start, chain: Toolchain, program: str) -> list[tuple[object, ...]]:
    warm, cold = (seen(start(replace(chain, warm=warm)), program) for warm in (True, False))
    assert warm == cold
    return warm


@pytest.mark.parametrize("ahead", [True, False])
def test_the_tests_of_a_program_share_its_seed(start: Start, found: Binaries, python: Toolchain, ahead: bool) -> None:
    """So they are copies. Another program has another. Where Landlock knows no signals, there are no copies."""
    old = found.level is Level.CONTAINER_USER and found.landlock < SCOPES_SIGNALS
    jail = start(python)
    seeds = [
        {run.stdout for run in jail.run("print(hash('a'))", [""] * 4, python.limits, ahead=ahead)} for _ in range(3)
    ]
    assert all(len(each) == (4 if old else 1) for each in seeds) and len(set.union(*seeds)) == (12 if old else 3)
    fresh = start(replace(python, warm=False)).run("print(hash('a'))", [""] * 4, python.limits)
    assert len({run.stdout for run in fresh}) >= 2  # the first test leaves no zygote, the second one of before main


@pytest.mark.parametrize("what", AT_THE_END)
def test_what_a_program_leaves_to_its_end_is_done(start: Start, python: Toolchain, what: str) -> None:
    assert len(same(start, python, AT_THE_END[what])) == 4


@pytest.mark.parametrize("program", EXIT_CODES)
def test_an_exit_code_is_the_programs(start: Start, python: Toolchain, program: str) -> None:
    same(start, python, program)


@pytest.mark.parametrize(
    ("language", "program"),
    [
        ("lua", "print(io.read('*n') + 1, io.read('*a'))"),
        ("python", "import sys\nprint(int(input()) + 1, sys.argv, __name__, sys.stdin.read())"),
        ("python", "import os\nprint(sorted(os.listdir('.')), input())"),
        ("python", "import os\nos.remove('program.py')"),
        ("python", "import threading\nt = threading.Thread(target=print, args=(input(),))\nt.start(), t.join()"),
        ("python", "import os\nif os.fork(): os.wait()\nelse: print(input())"),
        ("perl", "print <STDIN> + 1; print qq( $0 @ARGV\\n)"),
        ("perl", "print fileno(DATA), <DATA>, <STDIN>;\n__DATA__\ntext\n"),
        ("perl", "open(my $f, '>', 'a') or die; print $f 7; close $f; print -s 'a', <STDIN>; unlink 'a'"),
    ],
)  # fmt: skip
def test_a_copy_does_what_a_fresh_start_does(
    start: Start, request: pytest.FixtureRequest, language: str, program: str
) -> None:
    chain: Toolchain = request.getfixturevalue(language)
    assert same(start, chain, program)


@pytest.mark.parametrize("what", GIVEN_UP)
def test_what_a_copy_would_not_have_is_done_by_each_test(start: Start, perl: Toolchain, what: str) -> None:
    line = f"perl -e{GIVEN_UP[what]}\fxor\fdo+q=/tmp/w/program.pl=||do+q=program.pl="
    same(start, replace(perl, execute=line), SHOW)


LEAVE = """
import fcntl, os, struct
def tried(*calls):
    for name, call in calls:
        try: call()
        except OSError: continue
        print(name)
folder, given = os.open(".", 0), os.open("/dev/stdin", 0)
tried(("generation", lambda: fcntl.ioctl(folder, 0x40087602, struct.pack("q", 424242))),
      ("attributes", lambda: fcntl.ioctl(folder, 0x40086602, struct.pack("q", 0x40))),
      ("project", lambda: fcntl.ioctl(folder, 0x401c5820, bytes(28))),
      ("write", lambda: os.open("/dev/stdin", os.O_RDWR)), ("chmod", lambda: os.chmod("/dev/stdin", 0o666)),
      ("xattr", lambda: os.setxattr("/dev/stdin", "user.x", b"x")), ("times", lambda: os.utime("/dev/stdin", (1, 1))))
try: os.setxattr(".", "user.secret", b"x")
except OSError: pass
os.chmod(".", 0o700), os.utime(".", (12345, 12345)), os.mkdir("d"), print(os.read(given, 9))
"""
LOOK = """
import os
for path in (".", "/dev/stdin"):
    status = os.stat(path)
    print(os.listxattr(path), status.st_mtime > 1e6, oct(status.st_mode), status.st_nlink, status.st_blocks)
print(os.listdir("."))
"""


def test_nothing_passes_to_the_next_program_by_folder_or_input(
    start: Start, found: Binaries, python: Toolchain
) -> None:
    if found.level is not Level.CONTAINER_ROOT:
        pytest.skip("a user's folder is made anew, and has no /dev/stdin")
    jail, other = start(python), start(replace(python, warm=False))
    fresh = seen(other, LOOK, 1)
    for _ in range(2):
        assert seen(jail, LEAVE, 1)[0][:3] == (EXITED, 0, b"b'0\\n'\n")
        assert seen(jail, LOOK, 1) == fresh

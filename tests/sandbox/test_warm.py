"""Programs that begin as copies of an interpreter that was started before them (driver/warm.c, driver/runtime.h).

The attacks on it are attacks/warm_*.py; and all of the attacks in Lua and Python begin as such copies.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.driver.messages import EXITED, SIGNALED
from sandbox.jail import Jail, Run, Toolchain, without_env
from sandbox.job import Status
from tests.sandbox.conftest import Start, of_its_root
from tests.sandbox.test_hostile import below
from tests.sandbox.test_pool import eventually, name_of

SEEDS = 5  # runtimes of Python, see runtime.h
PROGRAMS = 16  # that a runtime serves whose copies share a seed, see warm.c
UNSEEDED = 256  # and another, or Perl's


@pytest.fixture(scope="session")
def bash(lua: Toolchain) -> Toolchain:
    return replace(lua, language="bash", filename="program.sh", execute="bash program.sh")


@pytest.fixture(scope="session")
def r(lua: Toolchain) -> Toolchain:
    return of_its_root("r", lua)


def run(jail: Jail, program: str, tests: int = 3) -> list[Run]:
    return list(jail.run(program, [f"{n}\n" for n in range(tests)], jail.toolchain.limits, ahead=True))


def printed(jail: Jail, program: str, tests: int = 3) -> list[str]:
    runs = run(jail, program, tests)
    assert [(r.status, r.stderr) for r in runs] == [(None, b"")] * tests
    return [r.stdout.decode().strip() for r in runs]


def runtimes(jail: Jail) -> list[int]:
    """The server's children that are no inits."""
    children = [pid for server in below(jail.pid) for pid in below(server)]
    named = ((pid, name_of(pid)) for pid in children)  # "": it has gone meanwhile
    return [pid for pid, name in named if name and not name.startswith("driver")]


def test_programs_begin_as_copies_of_one_runtime(start: Start, lua: Toolchain) -> None:
    jail = start(lua)
    assert eventually(lambda: len(runtimes(jail)) == 1)
    (first,) = runtimes(jail)
    for _ in range(PROGRAMS - 1):
        assert printed(jail, "print(7)", 1) == ["7"]
    assert eventually(lambda: runtimes(jail) == [first])  # the last program's init may not have its name yet
    assert printed(jail, "print(7)", 1) == ["7"] and eventually(lambda: first not in runtimes(jail))
    assert eventually(lambda: len(runtimes(jail)) == 1)


@pytest.mark.parametrize("ahead", [True, False])
def test_each_test_of_a_python_program_has_a_seed_of_its_own(start: Start, python: Toolchain, ahead: bool) -> None:
    """The sixth has the first's again: there are as many runtimes."""
    jail = start(python)
    one, other = (
        [run.stdout for run in jail.run("print(hash('a'))", [""] * 7, python.limits, ahead=ahead)] for _ in range(2)
    )
    assert len(set(one)) == len(runtimes(jail)) == SEEDS and one[5:] == one[:2] and other == one


SAME = {  # what a copy may not have from its runtime: asked of the program, and true at a fresh start
    "python": """
import ctypes, os, signal, sys, time
n = int(input())
assert os.getppid() == 1 and os.getpgrp() == 0 and os.getcwd() == "/tmp/w" and os.getpid() > 1
assert sorted(os.listdir("/proc/self/fd")) == ["0", "1", "2", "3"] and sorted(os.listdir(".")) == ["program.py"]
assert not any(name.startswith("LD_") for name in os.environ) and b"LD_" not in open("/proc/self/environ", "rb").read()
assert all(signal.getsignal(s) == signal.SIG_DFL for s in (signal.SIGSYS, signal.SIGTERM, signal.SIGCHLD))
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
assert int(status["SigCgt"], 16) == 1 << signal.SIGINT - 1 and int(status["SigBlk"], 16) == 0, status
assert time.process_time() < 0.5 and os.times().elapsed > 0
assert sys.argv == ["program.py"] and __file__ == "/tmp/w/program.py", __file__
assert "gc" not in sys.modules and sys.flags.isolated and sys.get_int_max_str_digits() == 0 and not sys.stdin.isatty()
libc = ctypes.CDLL(None)
for core in os.sched_getaffinity(0):  # glibc reads it from memory that the kernel was told of
    os.sched_setaffinity(0, {core})
    assert libc.sched_getcpu() == core
import threading
assert threading.get_native_id() == os.getpid()
thread = threading.Thread(target=print, args=(n,))
thread.start(), thread.join()
""",
    "perl": """
my $n = <STDIN>;
die "time " . ($^T - time) if abs($^T - time) > 1;
die "parent" if getppid() != 1;
my $stat = do { local (@ARGV, $/) = "/proc/self/stat"; <> };
die "number" if $stat !~ /^$$ /;
print $n;
""",
    "bash": """
read n
read own rest < /proc/self/stat
[ $$ = $BASHPID ] && [ $$ = $own ] && [ $PPID = 1 ] && [ $SECONDS -le 1 ] || exit 3
echo $n
""",
    "r": """
n <- scan(file("stdin"), quiet = TRUE)
stat <- scan("/proc/self/stat", "", n = 4, quiet = TRUE)
stopifnot(stat[1] == Sys.getpid(), stat[4] == "1", proc.time()[["elapsed"]] < 2, proc.time()[["sys.self"]] < 1)
stopifnot(identical(list.files("/tmp", no.. = TRUE), c(basename(tempdir()), "w")), getwd() == "/tmp/w")
stopifnot(Sys.getenv("R_SESSION_TMPDIR") == tempdir(), startsWith(tempfile(), tempdir()))
stopifnot(Sys.getenv("LD_PRELOAD") == "", tail(commandArgs(), 1) == "--file=program.R", median(c(1, 7)) == 4)
cat(n, "\\n")
""",
}


@pytest.mark.parametrize("language", SAME)
@pytest.mark.parametrize("warm", [True, False])
def test_a_copy_sees_what_a_fresh_start_sees(
    start: Start, request: pytest.FixtureRequest, language: str, warm: bool
) -> None:
    jail = start(replace(request.getfixturevalue(language), warm=warm))
    program = SAME[language].strip() + "\n"
    for _ in range(2):
        assert printed(jail, program) == ["0", "1", "2"]
    assert bool(runtimes(jail)) == warm


def test_time_goes_on_for_copies_of_an_old_runtime(start: Start, perl: Toolchain, bash: Toolchain) -> None:
    one, other = start(perl), start(bash)
    time.sleep(3)
    assert all(int(late) >= -1 for late in printed(one, "print $^T - time, qq(\\n);"))
    assert all(int(seconds) <= 1 for seconds in printed(other, "echo $SECONDS"))
    assert runtimes(one) and runtimes(other)


def test_a_program_that_removes_itself_has_gone_for_its_next_test(start: Start, r: Toolchain) -> None:
    """Each test of R opens it anew, though the runtime seemed to have it open."""
    for warm in (True, False):
        jail = start(replace(r, warm=warm))
        runs = run(jail, "unlink('program.R')\ncat(7)")
        assert [each.status for each in runs] == [None, Status.RUNTIME_ERROR] and runs[0].stdout == b"7"
        assert printed(jail, "cat(7)") == ["7"] * 3 and len(runtimes(jail)) == warm


def test_env_is_no_process_of_its_own(start: Start, lua: Toolchain) -> None:
    line = "env A=1=2 LC_ALL=C luajit program.lua"
    jail = start(replace(lua, execute=line))
    assert printed(jail, "print(os.getenv('A') .. os.getenv('LC_ALL'))") == ["1=2C"] * 3
    assert runtimes(jail)


@pytest.mark.parametrize("line", ["env -i A=1 luajit program.lua", "env -u HOME luajit program.lua"])
def test_what_else_env_can_do_is_left_to_it(start: Start, lua: Toolchain, line: str) -> None:
    for warm in (True, False):
        jail = start(replace(lua, execute=line, warm=warm))
        assert printed(jail, "print(os.getenv('HOME') or 'none')") == ["none"] * 3
    assert without_env(["env"]) == ({}, ["env"]) and without_env(["env", "A=1"]) == ({}, ["env", "A=1"])


def test_what_env_sets_for_the_program_is_not_the_compilers(start: Start, lua: Toolchain) -> None:
    line = "env PATH=/nowhere /usr/bin/luajit program.lua"
    jail = start(replace(lua, compile="true", execute=line))
    assert [run.stdout for run in run(jail, "print(os.getenv('PATH'))")] == [b""] + [b"/nowhere\n"] * 3


def test_a_script_is_open_where_it_would_be(start: Start, perl: Toolchain) -> None:
    """R alone may open its program before others' calls."""
    for warm in (True, False):
        program = "open(my $f, '<', '/etc/passwd'); print fileno(DATA), ' ', fileno($f);\n__DATA__\n"
        assert printed(start(replace(perl, warm=warm)), program) == ["3 4"] * 3


def test_the_collector_leaves_alone_what_was_there_before_the_program(start: Start, python: Toolchain) -> None:
    program = "import gc\nloop = []\nloop.append(loop)\ndel loop\nprint(gc.collect(), gc.get_freeze_count() > 1000)"
    for warm in (True, False):
        assert printed(start(replace(python, warm=warm)), program) == [f"1 {warm}"] * 3


OWN = {  # what chance decides in each test anew, as at a fresh start
    "python random": ("python", "import random\nprint(random.random())"),
    "perl rand": ("perl", "print rand(), qq(\\n)"),
    "perl keys": ("perl", "my %h = map { $_ => 1 } 'a' .. 'z'; print keys %h, qq(\\n)"),
    "bash": ("bash", "echo $RANDOM $RANDOM"),
    "r runif": ("r", "cat(runif(1))"),
    "r tempdir": ("r", "cat(tempdir())"),
    "php mt_rand": ("php", "<?php echo mt_rand(), PHP_EOL;"),
    "php shuffle": ("php", "<?php $a = range(1, 20); shuffle($a); echo join(',', $a), PHP_EOL;"),
}
SHARED = {  # and what it decides when the runtime starts
    "perl hash": ("perl", "use Hash::Util 'hash_seed'; print unpack('H*', hash_seed()), qq(\\n)"),
    "lua pairs": ("lua", "local t = {} for c in ('abcdefghijklmnop'):gmatch('.') do t[c] = 1 end\n"
                  "for k in pairs(t) do io.write(k) end print()"),
}  # fmt: skip


SEEDED = [pytest.param(what, marks=pytest.mark.slow if OWN[what][0] == "php" else ()) for what in OWN]


@pytest.mark.parametrize("what", SEEDED)
def test_each_copy_has_random_numbers_of_its_own(
    start: Start, request: pytest.FixtureRequest, lua: Toolchain, what: str
) -> None:
    language, program = OWN[what]
    chain = of_its_root("php", lua) if language == "php" else request.getfixturevalue(language)
    jail = start(chain)
    of_tests, of_programs = printed(jail, program, 10), [printed(jail, program, 1)[0] for _ in range(10)]
    # Perl's order of keys is one of 256: two in ten may be the same
    assert len(set(of_tests)) > 5 and len(set(of_programs)) > 5 and len(set(of_tests + of_programs)) > 10
    assert runtimes(jail)


@pytest.mark.parametrize("what", SHARED)
def test_the_seed_of_hashes_is_the_runtimes(start: Start, request: pytest.FixtureRequest, what: str) -> None:
    """No more is promised: the next runtime has another."""
    language, program = SHARED[what]
    jail = start(request.getfixturevalue(language))
    programs = 2 * UNSEEDED if language == "perl" else 5 * PROGRAMS
    seeds = [set(printed(jail, program, 2)) for _ in range(programs)]
    assert all(len(seed) == 1 for seed in seeds) and eventually(lambda: len(runtimes(jail)) == 1)
    assert len(set[str]().union(*seeds)) in ([2] if language == "perl" else [3, 4, 5])  # LuaJIT has few: two may be one


GIVEN_UP = {  # what an interpreter does before it opens the program, and a copy would not have
    "a child": "system+q=true=",
    "a timer": "alarm+9",
    "a mask": "umask+0",
    "open files": "pipe+A,B",
    "an open file": "open+F,q=/etc/passwd=",
    "input": "getc",
    "another folder": "chdir+q=/usr=",
    "a limit": "syscall+160,4,pack+q=QQ=,0,time",  # setrlimit of RLIMIT_CORE
    "a session": "syscall+112",  # setsid
    "a socket": "socket+S,1,1,0",
    "shared memory": "syscall+9,0,4096,3,33,-1,0",  # mmap
    "another handler of the calls": "syscall+13,31,pack+q=QQQQ=,1,0,0,time",  # sigaction of SIGSYS
    "output": "syswrite+STDOUT,1",
}
SHOW = """
use IO::Handle;
my @left = split /\\n/, `cat /proc/$$/status | grep -E "^(SigCgt|SigIgn)"`;
print join(" ", alarm(0), umask, fileno(A) // "", fileno(F) // "", (<STDIN>) // "", -d "bin" ? "usr" : "w"), "@left\\n";
"""


@pytest.mark.parametrize("what", GIVEN_UP)
def test_a_runtime_with_more_than_a_copy_has_is_given_up(start: Start, perl: Toolchain, what: str) -> None:
    line = f"perl -e{GIVEN_UP[what]}\fxor\fdo+q=/tmp/w/program.pl="  # no character that would need a shell
    warm, cold = start(replace(perl, execute=line)), start(replace(perl, execute=line, warm=False))
    seen, wanted = run(warm, SHOW), run(cold, SHOW)
    assert [(r.outcome, r.code, sorted(r.stdout)) for r in seen] == [
        (r.outcome, r.code, sorted(r.stdout)) for r in wanted
    ]
    assert all(r.stdout for r in wanted) and not runtimes(warm)


@pytest.mark.parametrize("line", ["perl -e1,do+q=/tmp/w/program.pl=", "perl -eprint+7,do+q=/tmp/w/program.pl="])
def test_one_without_is_not(start: Start, perl: Toolchain, line: str) -> None:
    warm, cold = start(replace(perl, execute=line)), start(replace(perl, execute=line, warm=False))
    assert [r.stdout for r in run(warm, SHOW)] == [r.stdout for r in run(cold, SHOW)]
    assert runtimes(warm)


@pytest.mark.parametrize("line", ["no-such-command program.lua", "true", "sleep 60", "sh -c 'exec luajit program.lua'"])
def test_a_command_that_opens_no_program_has_no_runtime(start: Start, lua: Toolchain, line: str) -> None:
    warm, cold = start(replace(lua, execute=line)), start(replace(lua, execute=line, warm=False))
    limits = replace(lua.limits, test_s=0.2, wall_s=0.2)
    for jail in (warm, cold):
        jail.toolchain = replace(jail.toolchain, limits=limits)
    assert [(r.outcome, r.code, r.stdout) for r in run(warm, "print(7)")] == [
        (r.outcome, r.code, r.stdout) for r in run(cold, "print(7)")
    ]
    assert not runtimes(warm)


ENDS = {  # what the C library does at a program's end, and not at what was there before it
    "a code": "io.write('a') os.exit(3)",
    "a function of the program's": (
        "local ffi = require('ffi') io.write('a')"
        "ffi.cdef('int __cxa_atexit(void (*)(void *), void *, void *); void abort(void);')"
        "ffi.C.__cxa_atexit(ffi.cast('void (*)(void *)', ffi.C.abort), nil, nil)"
    ),
    "a library of the program's": (
        "local ffi = require('ffi') ffi.cdef('int one(void);')"
        "local library = ffi.load('./last.so') io.write(library.one(), ' ') io.flush() os.exit(0)"  # still loaded
    ),
}
LIBRARY = """
#include <unistd.h>
int one(void) { return 1; }
__attribute__((destructor)) static void last(void) { write(1, "last", 4); }
"""


@pytest.mark.parametrize("what", ENDS)
def test_what_a_program_wants_done_at_its_end_is_done(start: Start, lua: Toolchain, tmp_path: Path, what: str) -> None:
    (tmp_path / "last.c").write_text(LIBRARY)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", "last.so", "last.c"], cwd=tmp_path, check=True)
    files = {"last.so": (tmp_path / "last.so").read_bytes()}
    seen, wanted = (
        [(r.outcome, r.code, r.stdout) for r in jail.run(ENDS[what], [""] * 3, lua.limits, files)]
        for jail in (start(lua), start(replace(lua, warm=False)))
    )
    assert seen == wanted and seen[0] == seen[2] in [(EXITED, 3, b"a"), (SIGNALED, 6, b""), (EXITED, 0, b"1 last")]


def test_a_copy_knows_nothing_of_how_its_runtime_was_started(start: Start, bash: Toolchain) -> None:
    warm, cold = start(bash), start(replace(bash, warm=False))
    assert printed(warm, "export -p") == printed(cold, "export -p")


def test_a_runtime_that_has_gone_is_replaced(start: Start, lua: Toolchain) -> None:
    jail = start(lua)
    assert printed(jail, "print(7)") == ["7"] * 3
    assert eventually(lambda: len(runtimes(jail)) == 1)
    (first,) = runtimes(jail)
    os.kill(first, signal.SIGKILL)
    for _ in range(3):  # the first of them finds out
        assert printed(jail, "print(7)") == ["7"] * 3
    assert eventually(lambda: len(runtimes(jail)) == 1) and runtimes(jail) != [first]
    (second,) = runtimes(jail)
    os.kill(second, signal.SIGSTOP)  # nor does one that does not answer hold anybody up for long
    assert printed(jail, "print(7)") == ["7"] * 3
    with suppress(ProcessLookupError):  # the server may have ended it by now
        os.kill(second, signal.SIGCONT)
    assert printed(jail, "print(7)") == ["7"] * 3


def test_no_program_can_reach_the_runtime(start: Start, python: Toolchain) -> None:
    """Its group and all it may signal: each is sent a signal that ends whoever gets it."""
    jail = start(python)
    assert printed(jail, "print(7)") == ["7"] * 3
    before = runtimes(jail)
    for pid in ("0", "-1", "-os.getpgrp()", "1"):
        runs = run(jail, f"import os, signal\nos.kill({pid}, signal.SIGKILL)")
        assert len(runs) >= 1 and all(r.status in (Status.RUNTIME_ERROR, None) for r in runs)
        assert printed(jail, "print(7)") == ["7"] * 3
    assert len(before) == SEEDS and runtimes(jail) == before


def test_a_test_that_leaves_processes_ends_no_copying(start: Start, python: Toolchain) -> None:
    """They are killed, and the zygote with them: the next test begins as a copy of the runtime all the same."""
    jail = start(python)
    program = "import os, time\nos.fork() or time.sleep(60)\nprint(hash('a'))"
    assert len(set(printed(jail, program, 4) + printed(jail, program, 4))) == 4


def test_limits_are_each_programs_own(start: Start, python: Toolchain) -> None:
    jail = start(python)
    program = "import resource as r\nprint(*(r.getrlimit(k)[1] for k in (r.RLIMIT_CPU, r.RLIMIT_FSIZE, r.RLIMIT_AS)))"
    for size in (7, 9):
        limits = replace(python.limits, file_mb=size, test_s=size, memory_mb=100 + size)
        runs = list(jail.run(program, [""] * 2, limits, ahead=True))
        assert [r.stdout.decode().split() for r in runs] == [
            [str(size + 2), str(size << 20), str(100 + size << 20)]
        ] * 2


def test_where_memory_is_short_the_runtime_lives(start: Start, python: Toolchain) -> None:
    jail = start(python)
    assert printed(jail, "print(open('/proc/self/oom_score_adj').read())", 2) == ["1000"] * 2
    assert eventually(lambda: len(runtimes(jail)) == SEEDS)  # the next program's init may not have its name yet
    assert all(Path(f"/proc/{runtime}/oom_score_adj").read_text() != "1000\n" for runtime in runtimes(jail))

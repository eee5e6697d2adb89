"""A copy of Python is taken apart at its end only where somebody would notice (driver/python.h)."""

from __future__ import annotations

import re
import signal
from dataclasses import replace

import pytest

from sandbox.driver.messages import EXITED
from sandbox.jail import Toolchain
from tests.sandbox.conftest import Start
from tests.sandbox.test_warm import printed, run

AT_THE_END = {  # what a program leaves to its end, with functions that know its names
    "a file": "out = open(1, 'w', closefd=False)\ndef main(): out.write('left')\nmain()",
    "__del__": "class A:\n def __del__(self): print('left')\na = A()\ndef main(): pass",
    "__del__, unknown to the collector": "class A:\n __slots__ = ()\n def __del__(self): print('left')\na = A()",
    "a generator": "def f():\n try: yield\n finally: print('left')\ng = f()\nnext(g)",
    "atexit": "import atexit\n@atexit.register\ndef f(): print('left')",
    "a module's": "import os\nclass A:\n def __del__(self): print('left')\nos.a = A()",
    "kept from the collector": "import gc, os\nclass A:\n def __del__(self): print('left')\nos.a = A()\ngc.freeze()",
    "a weak reference": "import os, weakref\nclass A: pass\na = A()\nos.kept = weakref.ref(a, print)",
    "a weak proxy": "import os, weakref\nclass A: pass\na = A()\nos.kept = weakref.proxy(a, print)",
    "a finalizer": "import weakref\nclass A: pass\na = A()\nweakref.finalize(a, print, 'left')",
    "a thread": "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.05), print('left'))).start()",
    "another output": "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer)\nprint('left')",
    "a detached output": "import sys\nbelow = sys.stdout.detach()\nsys.stdout = None\nbelow.write(b'left')",
    "an output of its own": "import sys\nclass W:\n def write(self, text): pass\n"
    " def flush(self): left and sys.__stdout__.write(left.pop())\nleft, sys.stdout = ['left'], W()",
    "a flush of its own": "import sys\nsys.stdout.flush = lambda: None\nsys.stdout.buffer.write(b'left')",
    "a close of its buffer's": "import sys\nsys.stdout.buffer.close = lambda: None\nsys.stdout.write('left')",
    "the collector's callbacks": "import gc\ncalled = []\ndef f(phase, info): called or called.append(print('left'))\n"
    "gc.callbacks.append(f)",
    "another interpreter": "import _xxsubinterpreters as s\ns.run_string(s.create(), 'print(\"left\")')",
    "an audit hook": "import sys\nsys.addaudithook(lambda e, a: 'gc' in e and print(e))\nprint('left', end='')",
    "nothing": "print('left', end='')",
    "nothing, and a call of all that atexit knows": "import atexit\natexit._run_exitfuncs()\nprint('left')",
    "nothing, in a child of its own": "import os\nif os.fork(): os.wait()\nelse: print('left')",
}


@pytest.mark.parametrize("what", AT_THE_END)
def test_what_a_program_leaves_to_its_end_is_done(start: Start, python: Toolchain, what: str) -> None:
    warm, plain = [
        [(r.status, re.sub(rb"0x\w+", b"", r.stdout + r.stderr)) for r in run(jail, AT_THE_END[what])]
        for jail in (start(replace(python, warm=warm)) for warm in (True, False))
    ]
    assert warm == plain and len(plain) == 3 and all(re.fullmatch(rb"left\n?|(?s:.*weak.*)", text) for _, text in plain)


EXIT_CODES = {
    "import sys\nsys.exit(3)": 3,
    "exit(4)": 4,
    "raise SystemExit('text')": 1,
    "import sys\ntry: sys.exit(3)\nexcept SystemExit as e: kept = e\nraise kept": 3,
    "class E(SystemExit):\n def __init__(self, code): self.code = code\nraise E(5)": 5,
    "import sys\ntry: sys.exit(3)\nexcept SystemExit: pass": 0,
    "1 / 0": 1,
    "import sys\nsys.excepthook = lambda *a: None\n1 / 0": 1,
    "if": 1,
    "import sys\nsys.stdout.close()": 0,
    "import os\nos.close(1)\nprint(7)": 120,
    "raise KeyboardInterrupt": -signal.SIGINT,
    "import ctypes\nctypes.pythonapi.Py_AtExit(ctypes.pythonapi.abort)": -signal.SIGABRT,
}


@pytest.mark.parametrize("program", EXIT_CODES)
def test_an_exit_code_is_the_programs(start: Start, python: Toolchain, program: str) -> None:
    for warm in (True, False):
        first, *_ = run(start(replace(python, warm=warm)), program)
        assert (first.code if first.outcome == EXITED else -first.code) == EXIT_CODES[program], first


def test_a_python_program_that_is_not_there_has_failed(start: Start, python: Toolchain) -> None:
    for warm in (True, False):
        runs = run(start(replace(python, warm=warm)), "import os\nos.remove('program.py')")
        assert [(each.outcome, each.code) for each in runs] == [(EXITED, 0), (EXITED, 2)]


@pytest.mark.parametrize("imports", ["", "collections, heapq, itertools, math, random, re, typing"])
def test_a_python_program_that_leaves_nothing_is_not_taken_apart(start: Start, python: Toolchain, imports: str) -> None:
    """Seen by what a program may hardly do: a class that was there before it gets a __del__."""
    program = f"import os, {imports or 'sys'}\ntype(os.environ).__del__ = lambda _, write=os.write: write(1, b'apart')"
    for warm, seen in ((True, ""), (False, "apart" * 2)):
        assert printed(start(replace(python, warm=warm)), program) == [seen] * 3


def test_a_data_base_that_nobody_closed_is_written(start: Start, python: Toolchain) -> None:
    program = "import dbm.ndbm\nd = dbm.ndbm.open('y', 'c')\nd['n'] = str(int(d.get('n', b'0')) + 1)\nprint(d['n'])"
    for warm in (True, False):
        assert printed(start(replace(python, warm=warm)), program) == ["b'1'", "b'2'", "b'3'"]


def test_the_end_takes_no_memory(start: Start, python: Toolchain) -> None:
    program, peaks = "a = [[] for _ in range(500_000)]", []
    for warm in (True, False):
        runs = run(start(replace(python, warm=warm)), program)
        peaks.append(min(each.memory_mb for each in runs))
    assert peaks[0] < peaks[1] + 2

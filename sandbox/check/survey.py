"""Proves every language in its jail and writes what came out as a page: docs/languages.md.

    python -m sandbox.check.survey                     all languages; `make test-languages`
    python -m sandbox.check.survey language=c,go       some; the other rows of the page stay as they are

Builds the roots that are missing, a few at once, then runs one language after the other, so that times are comparable.
Where root may mount, the same programs are run outside the jail too (sandbox/check/plain.py), and what they did there
is compared.
Each row is written as soon as it is known; a survey of all that was stopped goes on where it was when it is run again.
Exit code 0: every verdict is right; 1: one is not; 2: bad usage.
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import ClassVar

import languages
from base.command_line import Command, Names
from base.errors import UserError
from base.files import write_text
from sandbox import check, rootfs
from sandbox.check import Report, plain, proof
from sandbox.pool import toolchain
from sandbox.rootfs import disk

PAGE = Path(__file__).parents[2] / "docs/languages.md"
HEAD = """\
# Languages

Each is one file in `languages/`, and is proved in its jail by small programs (`languages/proofs/<language>.yaml`), the
same eleven in each: the sum of two integers, Unicode lines echoed, a mean to four decimals, 10^5 integers sorted,
reading until the end of input, and one program each that is wrong, does not compile or parse, ends with an error, runs
for ever, takes all memory, prints for ever. Then those that do what programs in the wild do: recurse deeply, read a
million numbers, sort words, compute with big numbers, fill a large array, use the standard library.
`make test-languages` runs them all and writes this page.

How deep calls may nest, where a runtime has a bound of its own below memory: Java, Kotlin, Scala and Clojure (200 MB of
stack in the main thread), Common Lisp, Ruby and Tcl allow a million calls, Node with 500 MB some millions; Python
what `sys.setrecursionlimit` says, through C too; Octave 10^5; Emacs Lisp 10^6; Lua 20,000, R 7,000, Haxe (Neko)
10,000 and Zsh 1,000, which their makers compiled in. Everywhere else memory is the bound.

Text sorts by byte everywhere, in R too. In Java, Kotlin, Scala, Erlang and Ada the program may have another name than
the prompt asks for: the class or module with a main is run.

- **version**: of the toolchain's Debian package (the first that `install` names).
- **root**: MiB of its root file system, and the seconds that building it took on top of the suite's base. Equal files
  of several roots are one on disk: {disk}.
- **compile**, **run**: ms that the sum takes to compile, and each of its tests to run: mostly start-up.
- **verdicts**: how many of the programs are right; what is not is named. Rows that say "of 11" were measured before the
  second kind was written.
- **RLIMIT_AS**: the same without a memory cgroup, where addresses are counted instead of memory, up to `memory_mb` of
  the language file. A program that then gets no memory is a memory_limit where its runtime says so, and a runtime_error
  where it says nothing.
- **outside**: of how many programs the verdict in the jail is the one that the same toolchain gives without jail,
  driver, filter and cgroup (`sandbox/check/plain.py`); what differs is named, the verdict outside behind the jail's.
  The memory hog is left out, as it would fill the machine. "not run": the row is older than this column.
- **measured**: the day, and how many processes were ready to run (the load of one minute). One is the survey's own;
  above the number of cores, times are longer than on a quiet machine. Where "times" has a day of its own, the
  columns of seconds and ms are of that day, and were not measured again beside such a load.

{machine}

| language | version | root MiB | built in s | compile ms | run ms | verdicts | RLIMIT_AS | outside | measured |
|---|---|---|---|---|---|---|---|---|---|
"""
ROW = re.compile(r"\| \[[^]]*\]\(\.\./languages/([^)]+)\.yaml\) \|.*")


def rows(page: Path) -> dict[str, str]:
    """The rows of a page by language."""
    lines = page.read_text(encoding="utf-8").splitlines() if page.is_file() else []
    return {match[1]: line for line in lines if (match := ROW.fullmatch(line))}


def right(report: Report) -> str:
    """How many verdicts are right, and which are not."""
    wrong = [f"{finding.name}: {finding.verdict.status}" for finding in report.findings if not finding.right]
    count = f"{len(report.findings) - len(wrong)} of {len(report.findings)}"
    return f"{count} ({', '.join(wrong)})" if wrong else count


def outside(language: languages.Language, report: Report) -> str:
    """How many programs fare in the jail as they do without one, and which do not; "-" where nothing can be run so."""
    if not plain.available():
        return "-"
    jailed = {finding.name: finding.verdict.status for finding in report.findings}
    chain = toolchain(language)
    with tempfile.TemporaryDirectory(prefix="agnostics-outside-") as scratch:
        plainly = {job.id: plain.verify(chain, job, Path(scratch)) for job in proof.jobs(language) if job.id != "hog"}
    differ = [f"{name}: {jailed[name]}, {status}" for name, status in plainly.items() if status is not jailed[name]]
    count = f"{len(plainly) - len(differ)} of {len(plainly)}"
    return f"{count} ({'; '.join(differ)})" if differ else count


def row(language: languages.Language, report: Report, without_cgroup: Report) -> str:
    """One line of the table."""
    root = Path(report.root)
    about = json.loads((root.parent / "rootfs.json").read_text(encoding="utf-8"))
    first = report.findings[0].verdict
    compiled = f"{first.compile.wall_s * 1e3:.0f}" if first.compile else "-"
    run = f"{statistics.median(test.wall_s for test in first.tests) * 1e3:.0f}" if first.tests else "-"
    version = check.package_version(language, root) or report.version
    cells = (
        f"[{language.title}](../languages/{language.name}.yaml)",
        version,
        f"{about['size_mb']:.0f}",
        f"{about['build_s']:.0f}",
        compiled,
        run,
        right(report),
        right(without_cgroup),
        outside(language, report),
        f"{time.strftime('%Y-%m-%d')}, load {os.getloadavg()[0]:.1f}",
    )
    return "| " + " | ".join(cells) + " |"


def machine() -> str:
    """What the times were measured on."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    model = re.search(r"model name\s*: (.+)", info)
    return f"Last run on {os.cpu_count()} cores, {' '.join(model[1].split()) if model else platform.machine()}."


def write(page: Path, lines: dict[str, str]) -> None:
    """Writes the page, whole or not at all."""
    sizes = disk.read()
    alone, together = sum(size.whole for size in sizes.values()) / 1e3, sum(size.own for size in sizes.values()) / 1e3
    disk_used = f"{len(sizes) - 1} roots of {alone:.1f} GB take {together:.1f} GB"
    text = HEAD.format(machine=machine(), disk=disk_used) + "".join(f"{lines[name]}\n" for name in sorted(lines))
    write_text(page, text)


def survey(names: list[str], page: Path, begun: Path | None = None) -> bool:
    """Proves languages and updates their rows of the page. Returns whether every verdict is right.

    Languages that are right are noted in `begun`, and skipped where they are there already: so a survey that was
    stopped goes on. Raises languages.LanguageError, rootfs.RootfsError (too little disk).
    """
    done = begun.read_text(encoding="utf-8").split() if begun and begun.is_file() else []
    if done:
        print(f"{len(done)} of {len(names)} are proved already; remove {begun} to begin anew", file=sys.stderr)
    healthy = True
    outcomes = rootfs.build(names)
    for name in (name for name in names if name not in done):
        outcome = outcomes[name]
        if isinstance(outcome, rootfs.RootfsError):
            print(outcome, file=sys.stderr)
            healthy = False
            continue
        language = languages.load(name)
        try:
            report, without_cgroup = check.examine(language), check.examine(language, use_cgroups=False)
        except UserError as error:
            print(error, file=sys.stderr)
            healthy = False
            continue
        new = row(language, report, without_cgroup)
        lines = {known: line for known, line in rows(page).items() if known in languages.names()} | {name: new}
        write(page, lines)
        print(new, flush=True)
        for text in [*report.remarks, *(f"{f.name}: {f.diagnosis}" for f in report.findings if not f.right)]:
            print(f"    {text}", flush=True)
        healthy &= report.healthy
        if begun and report.healthy:
            with open(begun, "a", encoding="utf-8") as file:
                file.write(f"{name}\n")
    if begun and healthy:
        begun.unlink(missing_ok=True)
    return healthy


class Survey(Command):
    usage: ClassVar[str] = "python -m sandbox.check.survey language=c,go"

    language: Names = ()  # none: all


def main(arguments: list[str]) -> int:
    try:
        if chosen := Survey.parse(arguments).language:
            return 0 if survey(list(chosen), PAGE) else 1
        names = languages.names()
        right = survey(names, PAGE, PAGE.with_suffix(".unfinished"))
        roots = {name: root.path for name, root in rootfs.build(names).items() if isinstance(root, rootfs.Rootfs)}
        if len(roots) == len(names):
            disk.write(disk.measure(roots))
            write(PAGE, rows(PAGE))
        return 0 if right else 1
    except UserError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)

"""The doctor: does a language work here, and what guards this machine while it does?

    python -m sandbox.check                      the machine alone: protections in force, and what makes timings lie
    python -m sandbox.check language=r           build the root if needed, run the proof, explain what is wrong

Runs the small programs of `languages/proofs/<language>.yaml` in the language's own jail and shows the expected and the
seen verdict of each, with times and memory; then the toolchain's version, the protections in force on this machine,
and in plain words what is wrong with the language file. Exit code 0: all is well; 1: something is not; 2: bad usage.
"""

from __future__ import annotations

import re
import resource
import shlex
import statistics
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

import languages
from base.command_line import Command, Names
from base.errors import ConfigError, UserError
from sandbox import protection
from sandbox.check import proof
from sandbox.check.timing import disturbances
from sandbox.jail import Toolchain
from sandbox.job import Job, Status, Test, Verdict
from sandbox.pool import Pool, toolchain
from sandbox.rootfs import debian

NEEDED = ("sum", "wrong", "crash", "broken", "loop", "flood")  # the least that says that a language works
BUILT_IN = {
    *("cat", "cd", "echo", "exec", "export", "printf", "read", "set", "test", "true", "ulimit", "umask"),
    *("if", "for", "[", "!"),
}
GARBAGE = ")]} this is no program in any language {[(\n"  # stands in for a missing `broken`


@dataclass(frozen=True)
class Finding:
    """One program of the proof and how it fared."""

    name: str
    verdict: Verdict
    expected: set[Status]
    diagnosis: str = ""  # what is wrong, in plain words; empty where nothing is

    @property
    def right(self) -> bool:
        return self.verdict.status in self.expected


@dataclass(frozen=True)
class Report:
    version: str  # first line of what the toolchain says about itself
    root: str
    findings: list[Finding]
    remarks: list[str]  # what is wrong apart from any program

    @property
    def healthy(self) -> bool:
        return not self.remarks and all(finding.right for finding in self.findings)


def examine(language: languages.Language, use_cgroups: bool = True) -> Report:
    """Builds the root if needed and runs the proof. Raises UserError.

    `use_cgroups` False: as on a machine where memory is bounded by RLIMIT_AS alone.
    """
    chain = toolchain(language)
    asking = replace(chain, language=f"{language.name} --version", compile=None, execute=_version_line(language))
    remarks = _remarks(language, Path(chain.root), chain)
    jobs = proof.jobs(language, use_cgroups)
    if "broken" not in {job.id for job in jobs}:
        jobs.append(Job("broken", language.name, GARBAGE, (Test("", ""),)))
    with Pool([chain, asking], workers=1, use_cgroups=use_cgroups) as pool:
        verdicts = pool.verify(jobs)
        (said,) = pool.verify([Job("version", asking.language, "", (Test("", "no version is this"),))])
    findings = []
    for job, verdict in zip(jobs, verdicts, strict=True):
        expected = proof.expected(language, job.id)
        diagnosis = "" if verdict.status in expected else explain(language, job, verdict)
        findings.append(Finding(job.id, verdict, expected, diagnosis))
    version = _first_line(said)
    if not any(map(str.isdigit, version)):
        version = package_version(language, Path(chain.root)) or version
    return Report(version, chain.root, findings, remarks)


def _command(line: str) -> str | None:
    """The program that a shell line starts first; None where that is for a shell to find out."""
    try:
        words = [word for word in shlex.split(line.splitlines()[0]) if not re.match(r"\w+=(?!\$\()|(env|exec)$", word)]
    except ValueError:
        return None
    return words[0] if words and words[0] not in BUILT_IN and not set(words[0]) & set("({$`") else None


def _version_line(language: languages.Language) -> str:
    """A shell line that makes the compiler, else the interpreter, say its version, whichever option it knows."""
    commands = [_command(line) for line in (language.compile, language.execute) if line]
    command = next((word for word in commands if word and not word.startswith("./")), "true")
    asked = [
        f"{shlex.quote(command)} {option} </dev/null 2>&1" for option in ("--version", "-v", "-version", "version")
    ]
    return "; ".join(f'said=$({line}) && [ -n "$said" ] && echo "$said" && exit' for line in asked)


def package_version(language: languages.Language, root: Path) -> str:
    """The upstream version of the first package that `install` names, as the root's dpkg has it; "" if it has none."""
    try:
        name = debian.parse_install(language.debian.get("install", language.install)).names[0]
        status = (root / "var/lib/dpkg/status").read_text(encoding="utf-8")
    except (ValueError, IndexError, OSError):
        return ""
    match = re.search(rf"^Package: {re.escape(name)}\n(?:.+\n)*?Version: (?:\d+:)?(.+)$", status, re.MULTILINE)
    return re.split(r"[+~]", match[1].rpartition("-")[0] or match[1])[0] if match else ""


def _first_line(verdict: Verdict) -> str:
    lines = verdict.tests[0].stdout.splitlines() if verdict.tests else []
    return next((line.strip() for line in lines if line.strip()), "says no version")


def _remarks(language: languages.Language, root: Path, chain: Toolchain) -> list[str]:
    """What can be seen to be wrong without running anything."""
    remarks = []
    path = dict(chain.environment).get("PATH", "/usr/local/bin:/usr/bin:/bin")
    for key, line in (("compile", language.compile), ("execute", language.execute)):
        word = _command(line) if line else None
        if word and "/" not in word and not any(_is_there(root, f"{folder}/{word}") for folder in path.split(":")):
            remarks.append(
                f"No toolchain: the key '{key}' starts {word!r}, which is not in the root file system. "
                f"Does `install` ({language.install or 'absent'}) bring it, or has the command another name there?"
            )
    # Some runtimes are told a module, not a file: `mumps -run program`.
    if Path(language.filename).stem not in f"{language.compile or ''} {language.execute}":
        remarks.append(
            f"Wrong file name: programs are written to {language.filename!r}, "
            "but neither 'compile' nor 'execute' mentions it."
        )
    if isinstance(programs := proof.programs(language), dict):
        lacking = [name for name in NEEDED if name not in programs]
        if lacking:
            remarks.append(f"Not proved: {proof.path(language)} lacks {', '.join(lacking)}.")
    return remarks


def _is_there(root: Path, path: str) -> bool:
    """Whether a path exists inside a root; links are followed as the jail would, not out of the root."""
    for _ in range(20):
        place = root / path.lstrip("/")
        if not place.is_symlink():
            return place.exists()
        goal = str(place.readlink())
        path = goal if goal.startswith("/") else f"{Path(path).parent}/{goal}"
    return False


def explain(language: languages.Language, job: Job, verdict: Verdict) -> str:
    """Why a program of the proof did not get the verdict that it should, in plain words, with what to change."""
    if verdict.status is Status.INFRASTRUCTURE_ERROR:
        return f"The sandbox could not run it: {verdict.message}"
    last = verdict.tests[-1] if verdict.tests else verdict.compile
    if last is None:
        return f"It got {verdict.status} before anything ran."
    expected = job.tests[len(verdict.tests) - 1].output if verdict.tests else ""
    stage, limits = ("compiling", "compile_s") if not verdict.tests else ("running", "test_s")
    words = f"{last.stderr}\n{last.stdout if not verdict.tests else ''}"
    answer = last.stdout

    if job.id in ("wrong", "crash", "loop", "hog", "flood", "broken") and verdict.status is Status.PASSED:
        return f"The program {job.id!r} of the proof passed, so it does not do what its name says, or it was not run."
    if language.filename in words and re.search(r"(?i)no such file|cannot open|can't open|not found", words):
        return f"Wrong file name: the toolchain does not find {language.filename!r}: {_tail(words)}"
    if last.exit_code == 127 or re.search(r"(?i)(: |command )not found", words):
        return f"No toolchain: a command of the language file is not in the root file system: {_tail(words)}"
    if verdict.status is Status.MEMORY_LIMIT or re.search(r"(?i)out of memory|cannot allocate|bad_alloc|heap", words):
        return (
            f"Too little memory for the runtime: it failed while {stage} with {last.memory_mb:.0f} of "
            f"{(job.limits or language.limits).memory_mb} MB in use; raise limits.memory_mb."
        )
    if verdict.status is Status.TIMEOUT:
        return f"Not done in time: {verdict.message}; raise limits.{limits}, or start the runtime faster."
    if re.search(r"(?i)resource temporarily unavailable|cannot (create|start) .*(thread|process)|fork", words):
        return f"Too few processes or threads for the runtime: raise limits.processes: {_tail(words)}"
    if re.search(r"(?i)read-only file system|permission denied", words):
        return (
            f"The toolchain wants to write where it may not; only its own folder and /tmp are writable: {_tail(words)}"
        )
    if last.signal is not None:
        hint = {25: "limits.file_mb is too small for it", 31: "it made a system call that the jail forbids"}
        return f"It was killed by signal {last.signal} while {stage}: {hint.get(last.signal, _tail(words))}"
    if verdict.status in (Status.COMPILE_ERROR, Status.RUNTIME_ERROR):
        return f"It failed while {stage} with exit code {last.exit_code}: {_tail(words)}"
    if verdict.status is Status.WRONG_OUTPUT:
        return _explain_output(answer, last.stderr, expected)
    return f"It got {verdict.status}, not {' or '.join(sorted(proof.expected(language, job.id)))}."


def _explain_output(output: str, errors: str, expected: str) -> str:
    if not output.strip() and expected.strip() and expected.strip() in errors:
        return "Output on stderr: the answer came on standard error, and only standard output counts."
    if not output.strip():
        return (
            f"It printed nothing on standard output{f'; on standard error: {_tail(errors)}' if errors.strip() else ''}."
        )
    if "".join(output.split()) == "".join(expected.split()):
        if len(output.split("\n")) < len(expected.split("\n")):
            return "Missing newline: the answer is right but lines run into each other; print a newline after each."
        return (
            f"The answer is right but for blanks or line ends: it printed {output[:60]!r}, not {expected[:60]!r} "
            "(Fortran's `print *` begins each line with a blank)."
        )
    return f"It printed {output[:80]!r}, not {expected[:80]!r}."


def _tail(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-3:])[:300] or "it said nothing"


# --- what people see


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms"


def show(language: languages.Language, report: Report, console: Console) -> None:
    """Prints the tables and the diagnosis."""
    columns = (Column(name, no_wrap=True) for name in ("program", "expected", "seen", "", "compile", "per run"))
    table = Table(*columns, "peak memory", title=language.title, box=SIMPLE_HEAD)  # fits 80 columns, verdicts whole
    for finding in report.findings:
        verdict = finding.verdict
        table.add_row(
            finding.name,
            " or\n".join(sorted(finding.expected)),
            str(verdict.status),
            "[green]right[/]" if finding.right else "[bold red]WRONG[/]",
            _milliseconds(verdict.compile.wall_s) if verdict.compile else "-",
            _milliseconds(statistics.median(test.wall_s for test in verdict.tests)) if verdict.tests else "-",
            f"{max(test.memory_mb for test in verdict.tests):.0f} MB" if verdict.tests else "-",
        )
    console.print(table)
    console.print(f"toolchain: {report.version}", markup=False)
    console.print(f"root file system: {report.root}", markup=False, soft_wrap=True)
    limits = ", ".join(f"{key} {value}" for key, value in vars(language.limits).items() if value is not None)
    console.print(f"limits: {limits}", markup=False, soft_wrap=True)

    for remark in report.remarks:
        console.print(f"- {remark}", markup=False, soft_wrap=True)
    for finding in report.findings:
        if finding.diagnosis:
            console.print(f"- {finding.name}: {finding.diagnosis}", markup=False, soft_wrap=True)
    if report.healthy:
        console.print(f"{language.title} works here.", markup=False)
    else:
        console.print(f"{language.title} does not work here yet: see {language.where}", markup=False, soft_wrap=True)


def holds(capability: int) -> bool:
    """Whether this process holds a capability, numbered as in linux/capability.h; root in a container may lack it."""
    match = re.search(r"^CapEff:\s*(\w+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return bool(match and int(match[1], 16) >> capability & 1)


def may_exceed_hard_limits() -> bool:
    return holds(24)  # CAP_SYS_RESOURCE


def low_limits() -> list[str]:
    """What bounds programs here besides their own limits: the hard limits of whoever started this (`ulimit -H`)."""
    if may_exceed_hard_limits():
        return []
    kinds = ("STACK", "AS", "DATA", "CPU", "FSIZE")
    hard = {kind: resource.getrlimit(getattr(resource, f"RLIMIT_{kind}"))[1] for kind in kinds}
    return [f"RLIMIT_{kind} is {value}" for kind, value in hard.items() if value != resource.RLIM_INFINITY]


def show_machine(console: Console) -> None:
    """Prints what guards this machine, and what makes timings lie on it."""
    guards = Table("protection", "in force", "how", title="This machine")
    found = protection.find()
    for guard in protection.protections(found):
        state = "[green]yes[/]" if guard.in_force else "[red]no[/]" if guard.required else "[yellow]no[/]"
        guards.add_row(guard.name, state, escape(guard.how))
    console.print(guards)
    level = found.binaries.level if found.binaries else "none"
    console.print(f"level: {level}{f' ({found.why})' if found.why else ''}", markup=False, soft_wrap=True)
    for sentence in protection.lacks(found.binaries) if found.binaries else ():
        console.print(f"- Not promised here: {sentence}.", markup=False, soft_wrap=True)
    for low in low_limits():
        text = f"- Right programs may fail here: the hard limit {low}, set by whoever started this (ulimit -H)."
        console.print(text, markup=False, soft_wrap=True)
    for one in disturbances():
        console.print(
            f"- Timings may lie here: {one.name} ({one.seen}): {one.harm}. What helps: {one.advice}.",
            markup=False,
            soft_wrap=True,
        )


class Check(Command):
    usage: ClassVar[str] = "python -m sandbox.check language=lua,ocaml"

    language: Names = ()  # none: the machine alone


def main(arguments: list[str]) -> int:
    console = Console(width=None if sys.stdout.isatty() else 120)
    try:
        chosen = Check.parse(arguments)
    except ConfigError as error:
        print(f"{error}\nlanguages: {', '.join(languages.names())}", file=sys.stderr)
        return 2
    healthy = True
    for name in chosen.language:
        try:
            language = languages.load(name)
            report = examine(language)
        except UserError as error:
            print(error, file=sys.stderr)
            healthy = False
            continue
        show(language, report, console)
        healthy &= report.healthy
    try:
        show_machine(console)
    except UserError as error:
        print(error, file=sys.stderr)
        healthy = False
    return 0 if healthy else 1

"""Whether our sandbox scores MultiPL-E as its own harness does, answer by answer:

    python benchmarks/multipl_e.py scores/multipl_e-humaneval-lua-qwen_coder_1.5b-...

Takes an evaluation's folder and runs every program in it a second time by the harness's procedure: one process with the
file as its argument, no standard input, killed with its group after its time; exit code 0 is OK. None of our driver,
pool and comparison has a part in it. nsjail alone keeps the programs in, one process a jail, since no answer of a model
may run free. Prints each program on which the two differ, and how many agree.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1]))

import languages
from languages import Language
from problems.sources.multipl_e import toolchain
from sandbox import rootfs
from sandbox.driver import binaries


def harness(program: str, language: Language, folder: Path) -> str:
    """OK, Timeout or Failed, as the harness says of a program."""
    root = rootfs.ensure(language)
    path = folder / language.filename
    path.write_text(program)
    words = language.execute.split()
    words[words.index(language.filename)] = f"/code/{language.filename}"
    jail = [binaries.nsjail(), "-Mo", "-q", "--chroot", str(root.path), "-u", "1000:0:1", "-g", "1000:0:1"]
    jail += ["--disable_rlimits", "-R", f"{folder}:/code", "-T", "/tmp", "--cwd", "/tmp", "--iface_no_lo"]
    jail += [part for item in root.env.items() for part in ("-E", "=".join(item))]
    jail += ["-t", str(int(language.limits.test_s)), "--", "/usr/bin/env", *words]
    try:
        done = subprocess.run(
            jail, stdin=subprocess.DEVNULL, capture_output=True, timeout=language.limits.test_s + 5, check=False
        )
    except subprocess.TimeoutExpired:
        return "Timeout"
    return "OK" if done.returncode == 0 else "Timeout" if done.returncode == 137 else "Failed"


def main(arguments: list[str]) -> None:
    if len(arguments) != 1:
        sys.exit("error: name an evaluation's folder: python benchmarks/multipl_e.py scores/...")
    folder = Path(arguments[0])
    scores = json.loads((folder / "scores.json").read_text())
    language = toolchain(languages.load(scores["language"]))
    rows = pq.read_table(folder / "samples.parquet").to_pylist()
    table: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o755)
        for row in rows:
            theirs = harness(row["program"], language, Path(scratch))
            table[row["verdict"], theirs] += 1
            if (row["verdict"] == "passed") != (theirs == "OK"):
                print(f"{row['problem']}: {row['verdict']} here, {theirs} there")
    for (ours, theirs), count in sorted(table.items()):
        print(f"{ours:15} {theirs:8} {count:5}")
    agree = sum(count for (ours, theirs), count in table.items() if (ours == "passed") == (theirs == "OK"))
    print(f"{agree} of {len(rows)} agree")


if __name__ == "__main__":
    main(sys.argv[1:])

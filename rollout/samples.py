"""The samples of an evaluation, kept as they come: whatever ends it, the same command goes on where it stopped.

A folder of parquet files. While an evaluation runs, `samples/part_*.parquet` are added, each written beside and
renamed; at its end all rows are in `samples.parquet`. An answer is kept before its verdict is known: its row comes
first with no verdict, then again with one, and the later row counts.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from base.errors import RunError
from base.files import replacing
from rollout.pass_at_k import Row
from sandbox.job import Test, Verdict

SCHEMA = pa.schema(
    [
        ("problem", pa.string()),
        ("sample", pa.int32()),
        ("prompt", pa.string()),  # a chat as JSON, or the text that was continued
        ("prompt_sha256", pa.string()),  # of its words; null in files from before 2026-11-28
        ("completion", pa.string()),
        ("program", pa.string()),
        ("verdict", pa.string()),  # null: not known yet
        ("message", pa.string()),
        ("tests_passed", pa.int32()),
        ("tests", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("finished", pa.bool_()),
        ("failed_test", pa.int32()),  # these five as `first_failure` says; null in files from before 2026-11-28
        ("failed_input", pa.string()),
        ("expected", pa.string()),
        ("got", pa.string()),
        ("error", pa.string()),
    ]
)
SHOWN = 1000  # characters of a failed test's texts
FLUSH_ROWS = 256
FLUSH_S = 1.0  # seconds: what a kill can cost
SECONDS = b"seconds"  # the time spent on a file's rows, in its metadata

Key = tuple[str, int]  # problem, sample


class Samples:
    """Rows by problem and sample. `add` may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        """Reads what is there. Raises RunError for a file that cannot be read."""
        self.whole, self.parts = folder / "samples.parquet", folder / "samples"
        self.rows: dict[Key, Row] = {}
        self.seconds = 0.0  # of all sessions
        self._lock = threading.Lock()
        self._fresh: dict[Key, Row] = {}
        self._flushed = time.monotonic()
        for path in [self.whole, *sorted(self.parts.glob("part_*.parquet"))]:
            if path.exists():
                self._read(path)

    def _read(self, path: Path) -> None:
        try:
            table = pq.read_table(path, schema=SCHEMA)
            self.seconds += float((pq.read_schema(path).metadata or {}).get(SECONDS, b"0"))
        except (OSError, ValueError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())[:200]
            raise RunError(f"cannot read {path} ({reason}); remove it, and its samples are drawn again") from error
        for row in table.to_pylist():
            self.rows[row["problem"], row["sample"]] = row

    def add(self, row: Row) -> None:
        """Takes a row, or a better one for its problem and sample."""
        key = row["problem"], row["sample"]
        with self._lock:
            self.rows[key] = self._fresh[key] = row

    def flush(self, now: bool = False) -> bool:
        """Writes the rows that no file has yet, if they are many or old, or `now`. Returns whether it did."""
        old = time.monotonic() - self._flushed
        if not self._fresh or not (now or old > FLUSH_S or len(self._fresh) >= FLUSH_ROWS):
            return False
        with self._lock:
            rows, self._fresh = list(self._fresh.values()), {}
        number = max((int(path.stem.split("_")[1]) for path in self.parts.glob("part_*.parquet")), default=0) + 1
        self._write(self.parts / f"part_{number:06d}.parquet", rows, old)
        self.seconds += old
        self._flushed = time.monotonic()
        return True

    def start_clock(self) -> None:
        """Time counts from now on."""
        self._flushed = time.monotonic()

    def finish(self) -> None:
        """Puts all rows into one file, sorted, and removes the parts."""
        self.flush(now=True)
        if self.parts.exists():
            self._write(self.whole, [self.rows[key] for key in sorted(self.rows)], self.seconds)
            shutil.rmtree(self.parts)

    def _write(self, path: Path, rows: list[Row], seconds: float) -> None:
        table = pa.Table.from_pylist(rows, schema=SCHEMA)
        try:
            path.parent.mkdir(exist_ok=True)
            with replacing(path) as part:
                pq.write_table(table.replace_schema_metadata({SECONDS: str(seconds)}), part)
        except OSError as error:
            raise RunError(f"cannot write {path} ({error}); mend that, and the same command goes on") from error


def first_failure(tests: Sequence[Test], verdict: Verdict) -> Row:
    """Columns for the first test that failed: which, what it read, what was expected and what came, each cut."""
    results = verdict.tests
    place = verdict.first_failed
    compiled = verdict.compile
    error = results[place].stderr if place is not None else compiled.stderr if compiled else ""
    test = None if place is None else tests[place]
    return {
        "failed_test": place,
        "failed_input": None if test is None else clean(test.input[:SHOWN]),
        "expected": None if test is None else clean(test.output[:SHOWN]),
        "got": None if place is None else clean(results[place].stdout[:SHOWN]),
        "error": None if verdict.passed else clean(error[:SHOWN]) or None,
    }


def clean(text: str) -> str:
    """Text that no UTF-8 can hold (half of a surrogate pair) is replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")

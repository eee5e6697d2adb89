"""Rows kept as they come: nothing is lost, and what a kill has cut off harms no other row."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from base.jsonl import RowLog
from tests.conftest import ROOT

VALUE = st.none() | st.booleans() | st.integers() | st.text(st.characters())
ROW = st.dictionaries(st.text(), VALUE, max_size=3)


def kept(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in RowLog(path).rows()]


@given(st.lists(ROW, max_size=5), st.integers(0, 200), ROW)
def test_a_cut_costs_the_cut_row_only(rows: list[dict[str, Any]], cut: int, last: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        log = RowLog(path)
        places = [log.add(row) for row in rows]
        assert [log.at(place) for place in places] == rows == kept(path)
        log.close()
        whole = path.read_bytes()
        path.write_bytes(whole[: max(0, len(whole) - cut)])
        before = kept(path)
        assert before == rows[: len(before)]
        log = RowLog(path)
        assert log.at(log.add(last)) == last
        assert kept(path) == [*before, last]
        log.close()


def test_several_processes_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    script = (
        "import sys; from pathlib import Path; from base.jsonl import RowLog\n"
        "log = RowLog(Path(sys.argv[1]))\n"
        "for n in range(300): log.add({'who': sys.argv[2], 'n': n, 'text': 'x' * 5000})"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, str(path), who], cwd=ROOT) for who in "abc"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    rows = kept(path)
    assert len(rows) == 900
    assert all([row["n"] for row in rows if row["who"] == who] == list(range(300)) for who in "abc")

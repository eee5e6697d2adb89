"""Tables whose cells hold anything."""

from __future__ import annotations

from study import report


def test_no_cell_breaks_a_table() -> None:
    assert report.table(["a"], [["x|y"], ["x\\|y"], ["x\r\ny"]]).splitlines()[2:] == [
        r"| x\|y |",
        r"| x\\\|y |",
        "| x y |",
    ]

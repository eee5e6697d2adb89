"""The paired test: exact on small cases, silent where there is nothing, and usable from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from base.errors import DataError
from study import matrix
from study.compare import compare, p_value, p_words, points, read
from tests.conftest import ROOT


def result(passed: list[int], samples: int = 4, model: str = "A", language: str = "lua") -> dict[str, Any]:
    value = sum(passed) / samples / len(passed)
    return {
        "model": model,
        "dataset": "ladder",
        "language": language,
        "protocol": {"samples": samples, "temperature": 0.2},
        "pass@1": {"value": value, "low": value - 0.1, "high": value + 0.1},
        "per_problem": [{"problem": f"p{n}", "samples": samples, "passed": count} for n, count in enumerate(passed)],
    }


def test_p_is_the_share_of_sign_changes_that_reach_the_difference() -> None:
    gaps = np.array([0.5, 0.25, -0.25, 0.75, 0.5, 0.0])
    signs = np.array(list(product([-1, 1], repeat=len(gaps))))
    exact = (abs(signs @ gaps) >= abs(gaps.sum()) - 1e-9).mean()
    assert p_value(gaps) == pytest.approx(exact, abs=0.01)


def test_no_p_value_is_shown_as_nothing() -> None:
    assert p_words(1e-5) == "p < 0.0001" and p_words(0.0123) == "p = 0.0123"


def test_equal_results_differ_by_nothing() -> None:
    found = compare(result([1, 2, 3, 0]), result([1, 2, 3, 0]))
    assert (found["difference"], found["low"], found["high"], found["p"]) == (0.0, None, None, 1.0)
    assert points(found) == "+0.0 points, no interval"


def test_one_problem_has_no_interval() -> None:
    assert compare(result([1]), result([3]))["low"] is None


def test_a_clear_difference_is_found_and_chance_is_not() -> None:
    random = np.random.default_rng(1)
    worse = random.integers(0, 3, 80)
    better = compare(result(worse.tolist()), result((worse + random.integers(1, 3, 80)).tolist()))
    assert 0.3 < better["low"] < better["difference"] < better["high"] < 0.45 and better["p"] < 0.001
    chance = [
        compare(result(random.integers(0, 5, 30).tolist()), result(random.integers(0, 5, 30).tolist()))["p"] < 0.05
        for _ in range(20)
    ]
    assert sum(chance) <= 4


def test_problems_of_one_side_only_are_left_out_and_counted() -> None:
    found = compare(result([4, 4, 0]), result([4, 4, 0, 2, 2]))
    assert (found["problems"], found["left_out"], found["difference"]) == (3, 2, 0.0)


def test_other_data_sets_are_not_compared() -> None:
    with pytest.raises(DataError, match="ladder, starter"):
        compare(result([1]), {**result([1]), "dataset": "starter"})


def test_other_languages_and_other_words_are_not_compared() -> None:
    with pytest.raises(DataError, match=r"other languages .lua, r."):
        compare(result([1]), result([1], language="r"))
    with pytest.raises(DataError, match=r"asked in other words .language.prompt"):
        compare({**result([1]), "prompts_sha256": "a"}, {**result([1]), "prompts_sha256": "b"})
    assert compare({**result([1]), "prompts_sha256": "a"}, result([3]))["problems"] == 1  # of before there was a hash


def test_the_command(tmp_path: Path) -> None:
    for name, passed in (("a", [0, 1, 2, 3]), ("b", [4, 4, 4, 4])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scores.json").write_text(json.dumps(result(passed)))
    command = [sys.executable, "-m", "study.compare", str(tmp_path / "a"), str(tmp_path / "b")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "B - A: +62.5 points" in done.stdout and "4 problems" in done.stdout
    done = subprocess.run([*command[:-1], str(tmp_path)], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 1 and "scores.json" in done.stderr and "Traceback" not in done.stderr


def test_a_damaged_scores_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.write_text('{"dataset": "ladder"')
    with pytest.raises(DataError, match=str(path)):
        read(str(tmp_path))


def test_a_matrix_has_models_by_languages_and_a_table_a_protocol() -> None:
    text = matrix.matrix(
        [
            result([4, 4], model="A", language="lua"),
            result([2, 0], model="A", language="r"),
            result([0, 0], model="B", language="r"),
            result([1, 1], samples=1, model="B", language="lua"),
        ]
    )
    assert "| model | lua | r |" in text
    assert "| A | 100.0 [90.0, 110.0] | 25.0 [15.0, 35.0] |" in text
    assert "| B |  | 0.0 [-10.0, 10.0] |" in text
    assert text.count("## ladder") == 2


def test_a_name_from_somebody_elses_file_cannot_steer_the_terminal() -> None:
    assert "| \u241b[2JA |" in matrix.matrix([result([4], model="\x1b[2JA")])


def test_other_protocols_are_not_compared_but_other_numbers_of_samples_are() -> None:
    a, b = result([2, 2]), result([2, 2], samples=8)
    assert compare(a, b)["difference"] == pytest.approx(-0.25)
    for key, value in (("temperature", 0.7), ("compare", "exact"), ("template", "abc")):
        b["protocol"] = {**a["protocol"], key: value}
        with pytest.raises(DataError, match=f"other protocols \\({key}: .*, {value}\\)"):
            compare(a, b)


def test_an_evaluation_without_a_score_is_said_to_be_one(tmp_path: Path) -> None:
    none = {**result([0, 0]), "pass@1": None, "per_problem": [{"problem": "p0", "samples": 0, "passed": 0}]}
    assert "| A | none: every verdict is an infrastructure error |" in matrix.matrix([none])
    (tmp_path / "scores.json").write_text(json.dumps(none))
    with pytest.raises(DataError, match="no problem in common"):
        compare(read(str(tmp_path)), result([1]))

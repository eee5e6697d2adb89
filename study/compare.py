"""Tests two evaluations against each other, problem by problem:

    python -m study.compare scores/A scores/B

The difference of their pass@1 with its 95 % interval (paired bootstrap over problems), and the p-value of a paired
permutation test: how often would a difference as large come about if, in each problem, it were chance which of the two
results is A's? Problems that only one of them has are left out, and counted. Two protocols, languages or wordings of
the prompts are refused.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from base import script
from base.errors import DataError
from base.text import visible
from rollout.pass_at_k import resampled_means
from study import report

UNBIASED = {"samples"}  # of a protocol: what changes the precision of pass@1 and not what it estimates
# of a protocol: what evaluations did not record when there was no choice
UNKNOWN = {"top_p": 1.0, "compare": "own", "template": None, "limits": "own"}
PERMUTATIONS = 100_000
BATCH = 1_000  # permutations at once: bounds memory


def compare(a: dict[str, Any], b: dict[str, Any], seed: int = 0) -> dict[str, Any]:
    """Two scores.json -> {difference (B - A), low, high, p, problems, left_out}. Raises DataError.

    low and high are None where all problems differ by the same, or there is but one: drawn anew, they would be the same
    again, and an interval without width would be a certainty that nobody has.
    """
    if a["dataset"] != b["dataset"]:
        raise DataError(f"the two evaluations have other data sets ({a['dataset']}, {b['dataset']}): nothing to pair")
    if a["language"] != b["language"]:
        raise DataError(f"the two evaluations are in other languages ({a['language']}, {b['language']})")
    ways = a.get("protocol") or {}, b.get("protocol") or {}
    for key in sorted(({*ways[0]} | {*ways[1]}) - UNBIASED):
        here, there = (way.get(key, UNKNOWN.get(key)) for way in ways)
        if here != there:
            raise DataError(
                f"the two evaluations have other protocols ({key}: {here}, {there}): their difference would say little "
                "of the models"
            )
    ours, theirs = _by_problem(a), _by_problem(b)
    words = a.get("prompts_sha256"), b.get("prompts_sha256")  # of all problems; older evaluations have none
    if set(ours) == set(theirs) and all(words) and len(set(words)) > 1:
        raise DataError(
            "the two evaluations asked in other words (language.prompt, or another version of the project): their "
            "difference would say little of the models"
        )
    shared = sorted(set(ours) & set(theirs))
    if not shared:
        raise DataError("the two evaluations have no problem in common")
    gaps = np.array([theirs[problem] - ours[problem] for problem in shared])  # [problems]
    ends = np.percentile(resampled_means(gaps, seed), [2.5, 97.5]).tolist() if np.ptp(gaps) > 0 else [None, None]
    return {
        "difference": float(gaps.mean()),
        "low": ends[0],
        "high": ends[1],
        "p": p_value(gaps, seed),
        "problems": len(shared),
        "left_out": len(set(ours) ^ set(theirs)),
    }


def points(found: dict[str, Any]) -> str:
    """The difference of a comparison with its interval, in percentage points."""
    low, high = found["low"], found["high"]
    told = "no interval" if low is None else f"95 % interval [{100 * low:+.1f}, {100 * high:+.1f}]"
    return f"{100 * found['difference']:+.1f} points, {told}"


def p_value(gaps: np.ndarray, seed: int = 0) -> float:
    """Two-sided p of a paired permutation test on `gaps` [problems]: each may as well have the other sign.

    Problems without a gap change nothing. The observed labelling is one of those counted, so p is never 0.
    """
    gaps = gaps[gaps != 0]
    if not len(gaps):
        return 1.0
    random = np.random.default_rng(seed)
    observed = abs(gaps.sum()) - 1e-9  # equal sums may differ in their last bits
    larger = 0
    for _ in range(PERMUTATIONS // BATCH):
        signs = random.choice([-1.0, 1.0], size=(BATCH, len(gaps)))
        larger += int((abs(signs @ gaps) >= observed).sum())
    return (larger + 1) / (PERMUTATIONS + 1)


def _by_problem(found: dict[str, Any]) -> dict[str, float]:
    return {row["problem"]: row["passed"] / row["samples"] for row in found["per_problem"] if row["samples"]}


def p_words(p: float) -> str:
    """As a page shows it: none is 0."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.4f}"


def read(name: str) -> dict[str, Any]:
    """The scores of an evaluation's folder. Raises DataError."""
    path = Path(name).expanduser()
    path = path / "scores.json" if path.is_dir() else path
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found["dataset"], found["language"], found["per_problem"], found["pass@1"] and found["pass@1"]["value"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not the scores.json of a finished evaluation ({error!r})") from error
    return dict(found)


def main(arguments: list[str]) -> None:
    if len(arguments) != 2:
        sys.exit("error: name two evaluations: python -m study.compare scores/A scores/B")
    a, b = map(read, arguments)
    found = compare(a, b)
    for name, scores in (("A", a), ("B", b)):
        print(visible(f"{name}: {report.percent(scores['pass@1'])} %  {scores['model']} in {scores['language']}"))
    print(
        f"B - A: {points(found)}, {p_words(found['p'])}, {found['problems']} problems"
        + (f" ({found['left_out']} that only one has are left out)" if found["left_out"] else "")
    )


if __name__ == "__main__":
    with script.one_sentence("interrupted"):
        main(sys.argv[1:])

"""Scores of samples: the unbiased pass@k, its interval, verdict shares. Torch is not needed here."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from math import comb, sqrt
from typing import Any

import numpy as np

from sandbox.job import Status

Row = dict[str, Any]  # a sample: the columns of rollout/samples.py

UNVERIFIED = "unverified"  # an answer whose verdict never came
Z = 1.959964  # standard deviations on each side of 95 % of a normal distribution
RESAMPLES = 10_000
BATCH = 500  # resamples at once: bounds memory


def judged(row: Row) -> bool:
    """Whether a row's verdict stands: it has one, and it is not the sandbox's own failure."""
    return row["verdict"] not in (None, Status.INFRASTRUCTURE_ERROR.value)


def pass_at_1(verdicts: Iterable[str | None]) -> float | None:
    """The share of samples that passed, of those whose verdict stands. None where none does."""
    known = [verdict == Status.PASSED for verdict in verdicts if verdict not in (None, Status.INFRASTRUCTURE_ERROR)]
    return sum(known) / len(known) if known else None


def pass_at_k(n: int, passed: int, k: int) -> float:
    """The chance that one of k samples passes, estimated without bias from n of which `passed` did (Chen et al. 2021).

    Raises ValueError for k > n, where there is no unbiased estimate.
    """
    if not 0 <= passed <= n or not 1 <= k <= n:
        raise ValueError(f"pass@{k} cannot be estimated from {n} samples of which {passed} passed")
    return 1.0 - comb(n - passed, k) / comb(n, k)


def interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of the mean of `values`, one per problem, each from 0 to 1: over problems, not over samples.

    By bootstrap (percentiles), but where every value is 0 or 1, as with one sample per problem, or all are alike, as
    with one problem. Those count as as many independent draws, and have Wilson's interval: none of n is no proof of 0,
    and resampling n zeros would give [0, 0].
    """
    if set(values) <= {0.0, 1.0} or len(set(values)) == 1:
        return wilson(sum(values), len(values))
    means = resampled_means(np.asarray(values, dtype=np.float64), seed)  # [resamples]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def wilson(hits: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of which `hits` of `n` draws were seen (Wilson 1927; Brown et al. 2001)."""
    centre = (hits + Z * Z / 2) / (n + Z * Z)
    half = Z * sqrt(hits * (n - hits) / n + Z * Z / 4) / (n + Z * Z)
    return max(0.0, centre - half) if hits else 0.0, min(1.0, centre + half) if hits < n else 1.0


def resampled_means(values: np.ndarray, seed: int = 0) -> np.ndarray:
    """Means [resamples] of `values` [problems] drawn with replacement."""
    random = np.random.default_rng(seed)
    size = len(values)
    draws = (values[random.integers(size, size=(BATCH, size))].mean(1) for _ in range(RESAMPLES // BATCH))
    return np.concatenate(list(draws))


def scores(rows: Iterable[Row], ks: Sequence[int]) -> dict[str, Any]:
    """The scores of an evaluation's rows.

    Infrastructure errors are no samples: they are counted, and no pass@k has them. A k that is larger than every
    problem's number of samples is left out; a problem with fewer than k samples is no part of pass@k. Where no sample
    has a verdict of its own there is no score: pass@1 is None.
    """
    by_problem: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_problem[row["problem"]].append(row)
    flat = [row for group in by_problem.values() for row in group]
    table = []
    for problem, group in by_problem.items():
        known = [row for row in group if judged(row)]
        passed = sum(row["verdict"] == Status.PASSED for row in known)
        verdicts = Counter(row["verdict"] or UNVERIFIED for row in group)
        table.append({"problem": problem, "samples": len(known), "passed": passed, "verdicts": dict(verdicts)})
    found: dict[str, Any] = {} if any(row["samples"] for row in table) else {"pass@1": None}
    for k in sorted(set(ks)):
        values = [pass_at_k(row["samples"], row["passed"], k) for row in table if row["samples"] >= k]
        if values:
            low, high = interval(values)
            found[f"pass@{k}"] = {"value": sum(values) / len(values), "low": low, "high": high, "problems": len(values)}
    return {
        **found,
        "problems": len(table),
        "samples": len(flat),
        "verdicts": shares(row["verdict"] or UNVERIFIED for row in flat),
        "infrastructure_errors": sum(not judged(row) for row in flat),
        "unfinished": sum(not row["finished"] for row in flat) / len(flat) if flat else 0.0,
        "completion_tokens": sum(row["completion_tokens"] for row in flat),
        "per_problem": table,
    }


def shares(verdicts: Iterable[str]) -> dict[str, float]:
    """The share of each verdict that occurs, by its name."""
    counts = Counter(verdicts)
    return {status: count / counts.total() for status, count in sorted(counts.items())}


def smoothing(batches: int) -> int:
    """How many batches a curve's running mean takes: a twelfth of the run, and not fewer than 5."""
    return max(5, batches // 12)


def running_mean(values: Sequence[float], window: int) -> list[float]:
    """The mean of each value and those before it, up to `window` of them."""
    return [sum(values[max(0, n - window + 1) : n + 1]) / min(window, n + 1) for n in range(len(values))]

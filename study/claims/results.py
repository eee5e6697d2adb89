"""What a study shows, as claims.json has it: the figures of every part that was run, a verdict per comparison."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from run.cost import Cost
from study.claims.measures import curve, measure
from study.claims.parts import Parts
from study.claims.plan import Comparison, Figure, Part
from study.claims.verdicts import Interval, judge
from study.run_data import Run


def results(parts: Parts) -> dict[str, Any]:
    """Measures every finished seed of every part. Raises DataError, SandboxError."""
    plan = parts.plan
    return {
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, {platform.system()}",
        "seeds": plan.seeds,
        "margin": plan.margin,
        "parts": {part.name: found for part in plan.parts if (found := about(parts, part))},
        "claims": [
            {
                "claim": claim.claim,
                "source": claim.source,
                "compare": [compare(parts, comparison) for comparison in claim.compare],
            }
            for claim in plan.claims
        ],
    }


def about(parts: Parts, part: Part) -> dict[str, Any] | None:
    """Words, cost and curves of a training part's finished seeds; None where there are none, and of evaluations."""
    seeds = sorted({*parts.seeds(part)} - {*parts.missing(part)})
    if part.script != "train" or not seeds:
        return None
    runs = [Run.read(parts.seed_folder(part, seed)) for seed in seeds]
    costs = [Cost.of_row(run.metrics[-1]) for run in runs]
    return {
        "words": part.words,
        "seeds": seeds,
        "steps": [run.last_step for run in runs],
        "programs": fmean(cost.samples for cost in costs),
        "token_equivalents": fmean(cost.tokens for cost in costs),
        "seconds": fmean(run.seconds() for run in runs),
        "curves": [curve(run.folder) for run in runs],
    }


def compare(parts: Parts, comparison: Comparison) -> dict[str, Any]:
    """The two figures seed by seed, their paired difference and the verdict; "not run" with fewer than two seeds."""
    this, that = (by_seed(parts, figure) for figure in (comparison.this, comparison.that))
    seeds = sorted(this.keys() & that.keys())
    found: dict[str, Any] = {
        "this": comparison.this.model_dump(),
        "expected": comparison.expected,
        "that": comparison.that.model_dump(),
        "seeds": seeds,
    }
    if len(seeds) < 2:
        return found | {"verdict": "not run"}
    gaps: Sequence[float] = [this[seed] - that[seed] for seed in seeds]
    difference = Interval.of(gaps)
    return found | {
        "values": [[this[seed], that[seed]] for seed in seeds],
        "means": [fmean(this[seed] for seed in seeds), fmean(that[seed] for seed in seeds)],
        "difference": asdict(difference),
        "verdict": judge(difference, comparison.expected, parts.plan.margin / 100),
    }


def by_seed(parts: Parts, figure: Figure) -> dict[int, float]:
    part = parts.plan.part(figure.part)
    finished = sorted({*parts.seeds(part)} - {*parts.missing(part)})
    found = {seed: measure(parts.seed_folder(part, seed), figure.measure) for seed in finished}
    return {seed: value for seed, value in found.items() if value is not None}

"""Whether a data set tells problems of a benchmark: n-gram overlap of their texts, and the worst pairs.

    python -m problems.contamination codeforces_x livecodebench_x
    python -m problems.contamination my/train.jsonl ladder:heldout rule=open_r1 report=overlap.json drop=clean.jsonl

Both are a JSONL file in the project's format, or a data set of conf/dataset with a split (`:train`, `:heldout`; the
first is read as train, the second as heldout). Arguments:

    rule=paper     5-grams of words; a pair is flagged when the problem holds 0.8 or more of the benchmark problem's
                   n-grams, rare ones weighing more (what the paper's section A measured with Decon, no sampling)
    rule=open_r1   8-grams split at white space; one shared n-gram flags (the rule that decontaminated codeforces-cots)
    worst=10       pairs to show
    report=FILE    the flagged and the worst pairs as JSON
    drop=FILE      the first data set without the flagged problems

The text of a problem is its statement, formats and notes; tests are not compared. An inverted index over hashed n-grams
finds the pairs, so what has nothing in common costs nothing.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from pydantic import field_validator
from rich.console import Console
from rich.table import Table

from base import script
from base.command_line import Command
from base.errors import DataError
from base.files import write_text
from base.settings import Whole
from problems import load
from problems.problem import Problem, read_jsonl, write_jsonl

PER_PROBLEM = 3  # pairs of one problem that can be among the worst
PASSAGE = 160  # characters of the shared passage that a report quotes


@dataclass(frozen=True)
class Rule:
    n: int  # words of an n-gram
    words: Callable[[str], list[str]]
    threshold: float  # the weighted share that flags a pair; 0: any shared n-gram does


RULES = {
    "paper": Rule(5, lambda text: re.findall(r"\w+", text.lower()), 0.8),
    "open_r1": Rule(8, lambda text: text.lower().split(), 0.0),
}


@dataclass(frozen=True)
class Pair:
    problem: str  # id
    benchmark: str  # id
    shared: int  # distinct n-grams of the benchmark problem that the problem has too
    share: float  # of all distinct n-grams of the benchmark problem
    weighted: float  # the same, an n-gram weighted by its inverse document frequency in the benchmark
    flagged: bool
    passage: str = ""  # the longest run of words they share


def text(problem: Problem) -> str:
    return "\n".join((problem.statement, problem.input_format, problem.output_format, problem.notes))


class Grams:
    """Texts as arrays of hashed n-grams. A text of fewer than n words is one n-gram of all its words."""

    def __init__(self, rule: Rule):
        self.rule = rule
        self.numbers: dict[str, int] = {}  # word -> its place in `values`
        self.random = np.random.default_rng(0)
        self.values = self._draw(1 << 16)
        self.factors = self._draw(rule.n) | np.uint64(1)

    def _draw(self, count: int) -> np.ndarray:
        return self.random.integers(0, 1 << 64, count, dtype=np.uint64)  # [count]

    def __call__(self, text: str) -> np.ndarray:
        """uint64 [n-grams], in the order of the text; none for a text without words."""
        found = self.rule.words(text)
        numbers = (self.numbers.setdefault(word, len(self.numbers)) for word in found)
        ids = np.fromiter(numbers, np.int64, len(found))  # [words]
        while len(self.numbers) > len(self.values):
            self.values = np.concatenate([self.values, self._draw(len(self.values))])  # [twice as many]
        values = self.values[ids]  # [words]
        n = min(self.rule.n, len(values))
        grams = np.zeros(len(values) - n + 1 if n else 0, np.uint64)  # [n-grams]
        for k in range(n):
            grams += values[k : k + len(grams)] * self.factors[k]  # wraps at 2^64, as a hash should
        return grams


class Index:
    """The distinct n-grams of each benchmark text, inverted: from an n-gram to the texts that have it."""

    def __init__(self, texts: Sequence[np.ndarray]):
        """`texts`: the n-grams of each, as `Grams` gives them."""
        distinct = [np.unique(grams) for grams in texts]  # each [its distinct n-grams]
        self.size = len(texts)
        self.counts = np.array([len(grams) for grams in distinct])  # [texts]
        grams = np.concatenate([*distinct, np.zeros(0, np.uint64)])  # [postings]: each text's, one after the other
        owners = np.repeat(np.arange(self.size), self.counts)  # [postings]
        order = np.argsort(grams, kind="stable")  # [postings]
        self.owners = owners[order]  # [postings], those of one n-gram side by side
        # each [n-grams]: itself, where its postings begin, how many there are
        self.grams, self.starts, frequency = np.unique(grams[order], return_index=True, return_counts=True)
        self.ends = self.starts + frequency  # [n-grams]
        self.idf = np.log((self.size + 1) / frequency)  # [n-grams]
        self.totals = np.bincount(self.owners, np.repeat(self.idf, frequency), self.size)  # [texts]

    def query(self, grams: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each benchmark text, the distinct n-grams shared with `grams`: their number, and their share of all the
        text's own, weighted by idf, 0 to 1; both [texts]."""
        wanted = np.unique(grams)  # [distinct n-grams]
        places = np.searchsorted(self.grams, wanted)  # [distinct n-grams]
        places[places == len(self.grams)] = 0
        places = places[self.grams[places] == wanted] if len(self.grams) else places[:0]  # [known n-grams]
        starts, lengths = self.starts[places], self.ends[places] - self.starts[places]  # 2 x [known n-grams]
        before = np.cumsum(lengths) - lengths  # [known n-grams]
        postings = np.repeat(starts - before, lengths) + np.arange(lengths.sum())  # [their postings]
        owners = self.owners[postings]  # [their postings]
        shared = np.bincount(owners, minlength=self.size)  # [texts]
        weights = np.bincount(owners, np.repeat(self.idf[places], lengths), self.size)  # [texts]
        share = np.where(shared == self.counts, shared > 0, weights / np.maximum(self.totals, 1e-12))  # [texts]
        return shared, share


def overlap(problems: Sequence[Problem], benchmark: Sequence[Problem], rule: Rule) -> list[Pair]:
    """The worst pairs of each problem that shares anything, worst first; a flagged problem has a flagged pair here."""
    grams = Grams(rule)
    index = Index([grams(text(problem)) for problem in benchmark])
    pairs = []
    for problem in problems:
        shared, weighted = index.query(grams(text(problem)))
        for b in np.argsort(-weighted, kind="stable")[:PER_PROBLEM]:
            if shared[b]:
                share = float(shared[b] / index.counts[b])
                flagged = bool(weighted[b] >= rule.threshold)
                pairs.append(Pair(problem.id, benchmark[b].id, int(shared[b]), share, float(weighted[b]), flagged))
    return sorted(pairs, key=lambda pair: (-pair.weighted, -pair.shared, pair.problem, pair.benchmark))


def described(
    pairs: Sequence[Pair], problems: Sequence[Problem], benchmark: Sequence[Problem], rule: Rule
) -> list[Pair]:
    """The pairs with the passages they share."""
    grams = Grams(rule)
    ours, theirs = {p.id: text(p) for p in problems}, {p.id: text(p) for p in benchmark}
    return [replace(pair, passage=passage(ours[pair.problem], theirs[pair.benchmark], grams)) for pair in pairs]


def passage(ours: str, theirs: str, grams: Grams) -> str:
    """The longest run of words in `ours` all of whose n-grams are in `theirs`."""
    best = length = end = 0
    for place, hit in enumerate(np.isin(grams(ours), grams(theirs))):
        length = length + 1 if hit else 0
        if length > best:
            best, end = length, place
    if not best:
        return ""
    found = " ".join(grams.rule.words(ours)[end - best + 1 : end + grams.rule.n])
    return found if len(found) <= PASSAGE else found[:PASSAGE] + "..."


def problems_of(name: str, split: str) -> list[Problem]:
    """The problems of a JSONL file, or of a data set's config, `NAME` or `NAME:SPLIT`. Raises DataError."""
    if name.endswith(".jsonl"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise DataError(f"there is no file {path}")
        found = list(read_jsonl(path))
        if not found:
            raise DataError(f"{path} holds no problem")
        return found
    dataset, colon, given = name.partition(":")
    split = given if colon else split
    known = sorted({path.stem for path in (load.ROOT / "conf/dataset").glob("*.yaml")} - {"auto"})
    if dataset not in known or split not in ("train", "heldout"):
        raise DataError(f"{name!r} is neither a .jsonl file nor NAME:train or NAME:heldout of {', '.join(known)}")
    try:
        with initialize_config_dir(str(load.ROOT / "conf"), version_base="1.3"):
            config = compose("prepare", [f"dataset={dataset}"]).dataset
    except HydraException as error:
        raise DataError(f"conf/dataset/{dataset}.yaml: {error}") from error
    return load.load(load.dataset(config), split)


def table(pairs: Sequence[Pair]) -> Table:
    found = Table("problem", "benchmark", "shared", "weighted", "", "longest shared passage")
    for pair in pairs:
        mark = "flagged" if pair.flagged else ""
        found.add_row(pair.problem, pair.benchmark, str(pair.shared), f"{pair.weighted:.2f}", mark, pair.passage)
    return found


class Arguments(Command):
    usage: ClassVar[str] = "python -m problems.contamination my/train.jsonl ladder"
    bare: ClassVar[tuple[str, ...]] = ("problems", "benchmark")

    problems: str  # a data set of conf/dataset, or a file of problems
    benchmark: str
    rule: str = "paper"
    worst: Whole = 10  # pairs that are shown
    report: str | None = None  # a JSON file for all flagged pairs
    drop: str | None = None  # a file for the problems without the flagged ones

    @field_validator("rule")
    @classmethod
    def _known(cls, rule: str) -> str:
        if rule not in RULES:
            raise ValueError(f"rule is {rule!r}; the rules are {', '.join(RULES)}")
        return rule


def run(words: list[str]) -> None:
    """Raises ConfigError, DataError."""
    arguments = Arguments.parse(words)
    for name in filter(None, (arguments.report, arguments.drop)):  # known before the work, not after it
        if not (folder := Path(name).expanduser().parent).is_dir():
            raise DataError(f"there is no folder {folder} for {name}")
    first, second, rule = arguments.problems, arguments.benchmark, RULES[arguments.rule]
    problems, benchmark = problems_of(first, "train"), problems_of(second, "heldout")
    pairs = overlap(problems, benchmark, rule)
    flagged = {pair.problem for pair in pairs if pair.flagged}
    count = max(arguments.worst, sum(pair.flagged for pair in pairs)) if arguments.report else 0
    pairs = described(pairs[: max(count, arguments.worst)], problems, benchmark, rule)
    Console(markup=False, emoji=False, highlight=False).print(table(pairs[: arguments.worst]))
    print(
        f"{len(flagged)} of {len(problems)} problems are flagged against {len(benchmark)} "
        f"(rule {arguments.rule}: {rule.n}-grams)"
    )
    if arguments.report:
        report = {
            "problems": {"source": first, "count": len(problems)},
            "benchmark": {"source": second, "count": len(benchmark)},
            "rule": {"name": arguments.rule, "n": rule.n, "threshold": rule.threshold},
            "flagged": sorted(flagged),
            "pairs": [asdict(pair) for pair in pairs],
        }
        path = Path(arguments.report).expanduser()
        write_text(path, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
        print(f"{path}: {len(pairs)} pairs")
    if arguments.drop:
        kept = [problem for problem in problems if problem.id not in flagged]
        write_jsonl(Path(arguments.drop).expanduser(), kept)
        print(f"{arguments.drop}: {len(kept)} problems, without the flagged ones")


if __name__ == "__main__":
    with script.one_sentence("interrupted"):
        run(sys.argv[1:])

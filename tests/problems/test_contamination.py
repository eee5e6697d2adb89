"""N-gram overlap: equal to a count done the slow way, blind to what is common, and a report to go by."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.errors import UserError
from problems.contamination import RULES, Pair, Rule, described, overlap, problems_of, run, text
from problems.load import ROOT
from problems.problem import Problem, read_jsonl, write_jsonl
from sandbox.job import Test


def made(name: str, texts: list[str]) -> list[Problem]:
    return [Problem(f"{name}{n}", statement, (Test("", ""),)) for n, statement in enumerate(texts)]


def slowly(problems: list[Problem], benchmark: list[Problem], rule: Rule) -> dict[tuple[str, str], tuple[int, float]]:
    """Shared n-grams and their weighted share by sets of tuples."""

    def grams(problem: Problem) -> set[tuple[str, ...]]:
        words = rule.words(text(problem))
        n = min(rule.n, len(words))
        return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)} if n else set()

    theirs = {problem.id: grams(problem) for problem in benchmark}
    frequency = Counter(gram for found in theirs.values() for gram in found)
    idf = {gram: math.log((len(benchmark) + 1) / count) for gram, count in frequency.items()}
    found = {}
    for problem in problems:
        for name, own in theirs.items():
            shared = grams(problem) & own
            if shared:
                found[problem.id, name] = (len(shared), sum(map(idf.get, shared)) / sum(map(idf.get, own)))  # type: ignore[arg-type]
    return found


words = st.lists(st.sampled_from(["a", "b", "C", "d,", "(e)", "\n", "ä"]), max_size=14).map(" ".join)


@settings(max_examples=60)
@given(st.lists(words, max_size=5), st.lists(words, min_size=1, max_size=3), st.sampled_from(sorted(RULES)))
def test_the_index_counts_what_sets_count(ours: list[str], theirs: list[str], name: str) -> None:
    problems, benchmark, rule = made("p", ours), made("b", theirs), RULES[name]
    expected = slowly(problems, benchmark, rule)
    pairs = overlap(problems, benchmark, rule)
    assert {(pair.problem, pair.benchmark) for pair in pairs} == set(expected)
    for pair in pairs:
        shared, weighted = expected[pair.problem, pair.benchmark]
        assert pair.shared == shared
        assert pair.weighted == pytest.approx(weighted)
        assert pair.flagged == (weighted >= rule.threshold - 1e-9) or weighted == pytest.approx(rule.threshold)


LINES = (ROOT / "problems/ladder/data/train.jsonl").read_text().splitlines()
LADDER = [Problem.from_row(json.loads(line), "here") for line in LINES]


@pytest.mark.parametrize("name", sorted(RULES))
def test_copies_are_found_whatever_their_case(name: str) -> None:
    copy = Problem("copy", text(LADDER[40]).upper(), (Test("", ""),))
    worst = overlap([*LADDER[:20], copy], LADDER[20:60], RULES[name])[0]
    assert (worst.problem, worst.benchmark, worst.flagged) == ("copy", LADDER[40].id, True)
    assert worst.share == worst.weighted == 1.0


def test_a_few_changed_words_do_not_hide_a_copy() -> None:
    statement = " ".join(f"word{n}" for n in range(100))
    changed = statement.replace("word50 ", "other ").replace("word20 ", "")
    (pair,) = overlap(made("p", [f"Listen. {changed}"]), made("b", [statement]), RULES["paper"])
    assert pair.flagged and 0.8 < pair.share < 1.0


def test_what_all_problems_say_is_no_overlap_by_the_papers_rule_only() -> None:
    common = "Input is given from Standard Input in the following format and all values are integers."
    theirs = made("b", [f"{common} {' '.join(f'{n}x{k}' for k in range(30))}" for n in range(20)])
    ours = made("p", [f"{common} {' '.join(f'y{k}' for k in range(30))}"])
    assert not any(pair.flagged for pair in overlap(ours, theirs, RULES["paper"]))
    assert any(pair.flagged for pair in overlap(ours, theirs, RULES["open_r1"]))


def test_a_pair_quotes_the_longest_passage_they_share() -> None:
    ours = made("p", ["one two three four five X six seven eight nine ten eleven Y"])
    theirs = made("b", ["zero one two three four five six seven eight nine ten eleven twelve"])
    (pair,) = described(overlap(ours, theirs, RULES["paper"]), ours, theirs, RULES["paper"])
    assert pair.passage == "six seven eight nine ten eleven"


def test_texts_without_words_share_nothing() -> None:
    assert overlap(made("p", ["", "!!"]), made("b", ["", "?"]), RULES["paper"]) == []
    assert overlap([], made("b", ["a"]), RULES["paper"]) == []


def test_a_report_and_a_clean_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = tmp_path / "ours.jsonl", tmp_path / "theirs.jsonl"
    copies = [Problem(f"[red]{n}", LADDER[n].statement + " " + LADDER[n].input_format, (Test("", ""),)) for n in (3, 7)]
    write_jsonl(ours, [*LADDER[20:25], *copies])
    benchmark = [Problem(p.id, p.statement + " " + p.input_format, p.tests) for p in LADDER[:10]]
    write_jsonl(theirs, benchmark)
    run([str(ours), str(theirs), "worst=3", f"report={tmp_path / 'r.json'}", f"drop={tmp_path / 'clean.jsonl'}"])
    said = capsys.readouterr().out
    assert "2 of 7 problems are flagged against 10" in said and "[red]" in said
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["flagged"] == ["[red]3", "[red]7"]
    assert report["problems"] == {"source": str(ours), "count": 7}
    assert report["rule"] == {"name": "paper", "n": 5, "threshold": 0.8}
    pairs = [Pair(**pair) for pair in report["pairs"]]
    assert {(pair.problem, pair.benchmark) for pair in pairs if pair.flagged} == {
        ("[red]3", LADDER[3].id),
        ("[red]7", LADDER[7].id),
    }
    assert pairs[0].passage
    assert [problem.id for problem in read_jsonl(tmp_path / "clean.jsonl")] == [p.id for p in LADDER[20:25]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clean.jsonl", "ours.jsonl", "r.json", "theirs.jsonl"]


def test_data_sets_are_found_by_name() -> None:
    assert [p.id for p in problems_of("ladder:train", "heldout")] == [p.id for p in LADDER]
    assert problems_of("ladder", "heldout") != problems_of("ladder", "train")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ladder"], "benchmark is missing; as in: python -m problems.contamination "),
        (["ladder", "lader"], "'lader' is neither a .jsonl file nor NAME:train or NAME:heldout of codeforces, "),
        (["ladder:dev", "starter"], "'ladder:dev' is neither"),
        (["none.jsonl", "starter"], "there is no file none.jsonl"),
        (["ladder", "starter", "rule=strict"], "rule is 'strict'; the rules are paper, open_r1"),
        (["ladder", "starter", "worst=all"], "worst is 'all'; it must be a whole number"),
        (
            ["ladder", "starter", "n=5"],
            "unknown argument 'n=5'; write problems benchmark key=value with the keys rule, worst, ",
        ),
    ],
)
def test_a_wrong_command_is_one_sentence(arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        run(arguments)
    assert "\n" not in str(caught.value)


def test_the_command_exits_with_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "problems.contamination", "ladder"], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: benchmark is missing; as in: python -m problems.contamination my/train.jsonl ladder\n"
    )


def test_the_benchmark_finds_its_copies() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/contamination.py", "problems=200", "benchmark=60"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["paper_flagged"] == 50

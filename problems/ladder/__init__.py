"""Ladder: problems of rising difficulty, from the sum of two numbers to easy contest level, for real models.

`python -m problems.ladder` writes `problems/ladder/data/{train,heldout}.jsonl`: the same bytes every time.
How a problem is written down is told in `task.py`. A new one goes into a file of its tier, and nowhere else.
"""

from __future__ import annotations

from pathlib import Path

from problems.ladder import (
    tier1,
    tier2_numbers,
    tier2_text,
    tier3_arrays,
    tier3_numbers,
    tier4_greedy,
    tier4_simulation,
    tier4_stacks,
    tier5_dp,
    tier5_search,
    tier6_contest,
    tier6_graphs,
)
from problems.ladder.task import Task
from problems.problem import Problem, write_jsonl

FOLDER = Path(__file__).parent / "data"
FILES = (
    *(tier1, tier2_text, tier2_numbers, tier3_arrays, tier3_numbers),
    *(tier4_simulation, tier4_stacks, tier4_greedy, tier5_dp, tier5_search, tier6_graphs, tier6_contest),
)
TASKS = {task.name: task for file in FILES for task in vars(file).values() if isinstance(task, Task)}

# About a quarter of each tier is never trained on. Chosen by hand and not by chance, because no rule can tell that
# two tasks are one in different words: nothing here has a near relative among the other problems.
HELDOUT = {
    *("last_digits", "two_lines_swapped", "leap_year", "initials", "distance_in_the_plane"),
    *("title_case", "mutations", "longest_word", "checkerboard", "rock_paper_scissors", "savings"),
    *("diagonals", "bar_chart", "sea_view", "code_breaker", "check_digit", "pascal_row"),
    *("bank", "card_game", "warmer_day", "versions", "refuelling"),
    *("berry_bushes", "mirror_in_a_word", "rain_puddles", "crowded_museum"),
    *("longest_trail", "critical_links", "formulas", "overtaking"),
}


def splits() -> dict[str, list[Problem]]:
    """Both splits, made anew from the sources."""
    return {
        "train": [task.problem() for task in TASKS.values() if task.name not in HELDOUT],
        "heldout": [task.problem() for task in TASKS.values() if task.name in HELDOUT],
    }


def write(folder: Path) -> None:
    """Writes train.jsonl and heldout.jsonl into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, problems in splits().items():
        write_jsonl(folder / f"{split}.jsonl", problems)

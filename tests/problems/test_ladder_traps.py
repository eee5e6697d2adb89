"""Programs that take the tempting short cut: the ladder's tests must catch every one of them."""

import pytest

from problems.ladder import TASKS
from problems.ladder.task import block


def numbers(line):
    return [int(word) for word in line.split()]


def rows(lines):
    return [numbers(line) for line in lines]


def fewest_stamps(lines):
    """Always the largest stamp that fits."""
    (_, cost), values = rows(lines)
    stamps = 0
    for value in sorted(values, reverse=True):
        stamps, cost = stamps + cost // value, cost % value
    return "impossible" if cost else stamps


def one_room_earliest_start(lines):
    free = granted = 0
    for start, end in sorted(rows(lines[1:])):
        if start >= free:
            free, granted = end, granted + 1
    return granted


def one_room_shortest_first(lines):
    granted: list[list[int]] = []
    for start, end in sorted(rows(lines[1:]), key=lambda request: request[1] - request[0]):
        if all(end <= a or b <= start for a, b in granted):
            granted.append([start, end])
    return len(granted)


def boats_in_order(lines):
    """Two people get into a boat when they stand next to each other in order of weight."""
    (_, w), weights = rows(lines)
    weights.sort(reverse=True)
    boats = 0
    while weights:
        first = weights.pop(0)
        if weights and first + weights[0] <= w:
            weights.pop(0)
        boats += 1
    return boats


def berry_bushes_every_second(lines):
    xs = numbers(lines[1])
    return max(sum(xs[::2]), sum(xs[1::2]))


def growing_towers_greedy(lines):
    """The first tower is kept, and every one that is higher than the last kept."""
    kept: list[int] = []
    for h in numbers(lines[1]):
        if not kept or h > kept[-1]:
            kept.append(h)
    return len(kept)


def full_backpack_best_ratio(lines):
    (_, room), *things = rows(lines)
    total = 0
    for weight, value in sorted(things, key=lambda thing: -thing[1] / thing[0]):
        if weight <= room:
            room, total = room - weight, total + value
    return total


def best_stretch_may_be_empty(lines):
    best = here = 0
    for gain in numbers(lines[1]):
        here = max(0, here + gain)
        best = max(best, here)
    return best


def summer_jobs_best_wage_first(lines):
    taken: list[list[int]] = []
    for job in sorted(rows(lines[1:]), key=lambda job: -job[2]):
        if all(job[1] < other[0] or other[1] < job[0] for other in taken):
            taken.append(job)
    return sum(wage for *_, wage in taken)


def round_trip_nearest_next(lines):
    d = rows(lines[1:])
    at, left, length = 0, set(range(1, len(d))), 0
    while left:
        to = min(left, key=lambda village: d[at][village])
        length, at = length + d[at][to], to
        left.remove(to)
    return length + d[at][0]


def merging_piles_lightest_first(lines):
    piles, cost = numbers(lines[1]), 0
    while len(piles) > 1:
        i = min(range(len(piles) - 1), key=lambda i: piles[i] + piles[i + 1])
        piles[i : i + 2] = [piles[i] + piles[i + 1]]
        cost += piles[i]
    return cost


def reading_plan_on_average(lines):
    """A day ends as soon as it has its share of the pages."""
    (_, days), pages = rows(lines)
    fullest = today = 0
    for p in pages:
        today += p
        fullest = max(fullest, today)
        if today * days >= sum(pages):
            today = 0
    return fullest


def rain_puddles_below_the_top(lines):
    heights = numbers(lines[1])
    return sum(max(heights) - h for h in heights[1:-1])


def delivery_times_direct_roads_only(lines):
    (n, _), *roads = rows(lines)
    direct = {town: [t for a, b, t in roads if {a, b} == {1, town}] for town in range(2, n + 1)}
    return [min(times, default="never") for times in direct.values()]


def longest_trail_from_hut_one(lines):
    near = rows(lines[1:])
    depth = {1: 0}
    while len(depth) <= len(near):
        depth |= {b: depth[a] + 1 for pair in near for a, b in (pair, pair[::-1]) if a in depth and b not in depth}
    deepest = max(depth.values())
    return [[deepest, list(depth.values()).count(deepest)]]


def formulas_from_left_to_right(lines):
    return eval(lines[0].replace("*", "%").replace("%", "-"), {"__builtins__": {}})


def versions_as_text(lines):
    return sorted(lines[1:])


def leap_year_by_four(lines):
    return "no" if int(lines[0]) % 4 else "yes"


def ranking_dense(lines):
    people = [(name, int(points)) for name, points in (line.split() for line in lines[1:])]
    people.sort(key=lambda person: (-person[1], person[0]))
    scores = sorted({points for _, points in people}, reverse=True)
    return [[scores.index(points) + 1, name, points] for name, points in people]


TRAPS = {
    solve: next(name for name in sorted(TASKS, key=len, reverse=True) if solve.__name__.startswith(name))
    for solve in list(globals().values())
    if callable(solve) and getattr(solve, "__module__", "") == __name__ and solve not in (numbers, rows)
}


@pytest.mark.parametrize(("solve", "name"), TRAPS.items(), ids=lambda part: getattr(part, "__name__", ""))
def test_trap(solve, name):
    problem = TASKS[name].problem()
    passed = [block(solve(test.input.splitlines())) == test.output for test in problem.tests]
    assert 0 < sum(passed) < len(passed), "a trap is tempting because it works now and then, but not always"

"""Every reference of tiers 5 and 6 against a second solution that was found in another way."""

from functools import cache, partial
from itertools import combinations, pairwise, permutations, product

import pytest

from problems.ladder import TASKS
from tests.problems.second_solution import check, second

SOLUTIONS: dict = {}
second = partial(second, SOLUTIONS)


def numbers(line):
    return [int(word) for word in line.split()]


def rows(lines):
    return [numbers(line) for line in lines]


def slices(xs):
    """Every stretch of one or more items, by its start and then its length."""
    return [xs[i:j] for i in range(len(xs)) for j in range(i + 1, len(xs) + 1)]


def subsets(xs):
    return (chosen for size in range(len(xs) + 1) for chosen in combinations(xs, size))


@pytest.mark.parametrize("name", [task.name for task in TASKS.values() if task.tier >= 5])
def test_reference(name):
    check(name, SOLUTIONS[name])


@second()
def broken_stairs(lines):
    (n, _), broken = rows(lines)
    ways = {n: 0 if n in broken else 1}  # from a step to the top, with all their digits
    for step in range(n - 1, -1, -1):
        ways[step] = 0 if step in broken else sum(ways.get(step + k, 0) for k in (1, 2, 3))
    return ways[0] % 1000007


@second()
def fewest_stamps(lines):
    (_, cost), values = rows(lines)
    reached, stamps = {0}, 0
    seen = {0}
    while reached and cost not in reached:
        reached = {a + v for a in reached for v in values if a + v <= cost} - seen
        seen |= reached
        stamps += 1
    return stamps if reached else "impossible"


@second()
def growing_towers(lines):
    lowest_end: list[int] = []  # of the towers kept so far, by their number: patience sorting
    for h in numbers(lines[1]):
        at = next((k for k, end in enumerate(lowest_end) if end >= h), len(lowest_end))
        lowest_end[at : at + 1] = [h]
    return len(lowest_end)


@second(growth=0.15, longest=40)
def full_backpack(lines):
    (_, capacity), *things = rows(lines)
    return max(sum(v for _, v in s) for s in subsets(things) if sum(w for w, _ in s) <= capacity)


@second(growth=0.2, longest=600)
def best_stretch(lines):
    return max(map(sum, slices(numbers(lines[1]))))


@second(growth=0.06, longest=20)
def common_subsequence(lines):
    first, second = ({"".join(s) for s in subsets(word)} for word in lines)
    return max(map(len, first & second))


@second(growth=0.5)
def spelling_distance(lines):
    @cache
    def distance(a, b):
        if not a or not b:
            return len(a) + len(b)
        if a[-1] == b[-1]:
            return distance(a[:-1], b[:-1])
        return 1 + min(distance(a[:-1], b), distance(a, b[:-1]), distance(a[:-1], b[:-1]))

    return distance(*lines)


@second()
def garden_paths(lines):
    (h, w), grid = numbers(lines[0]), lines[1:]

    @cache
    def ways(i, j):
        if i == h or j == w or grid[i][j] == "#":
            return 0
        return 1 if (i, j) == (h - 1, w - 1) else ways(i + 1, j) + ways(i, j + 1)

    return ways(0, 0) % 1000007


@second(growth=0.025, longest=20)
def berry_bushes(lines):
    xs = numbers(lines[1])
    alone = (s for s in subsets(range(len(xs))) if all(b - a > 1 for a, b in combinations(s, 2)))
    return max(sum(xs[i] for i in s) for s in alone)


@second()
def lake_level(lines):
    (_, _), changes, *questions = rows(lines)
    return [sum(changes[a - 1 : b]) for a, b in questions]


@second(growth=0.15, longest=100)
def few_colours(lines):
    return max(len(piece) for piece in slices(lines[0]) if len(set(piece)) <= int(lines[1]))


@second()
def cheaper_offers(lines):
    _, offers, *prices = rows(lines)
    return [
        [sum(x < price for x in offers), min((x for x in offers if x >= price), default="none")] for (price,) in prices
    ]


@second(growth=0.02, longest=30)
def reading_plan(lines):
    (n, days), pages = rows(lines)
    plans = ([0, *cuts, n] for cuts in combinations(range(1, n), days - 1))
    return min(max(sum(pages[a:b]) for a, b in pairwise(plan)) for plan in plans)


@second(growth=0.3)
def balanced_pair(lines):
    (_, t), weights = rows(lines)
    return min((a + b for a, b in combinations(weights, 2)), key=lambda s: (abs(s - t), s))


@second(growth=0.2, longest=600)
def even_shares(lines):
    (_, k), sweets = rows(lines)
    return sum(sum(piece) % k == 0 for piece in slices(sweets))


@second(growth=0.5)
def mirror_in_a_word(lines):
    return max((piece for piece in slices(lines[0]) if piece == piece[::-1]), key=len)


@second()
def rain_puddles(lines):
    heights, water = numbers(lines[1]), 0
    for level in range(1, max(heights) + 1):
        full = [i for i, h in enumerate(heights) if h >= level]
        water += full[-1] - full[0] + 1 - len(full)
    return water


@second()
def crowded_museum(lines):
    visits = rows(lines[1:])
    present = [sum(coming <= minute < going for coming, going in visits) for minute in range(1001)]
    return [[max(present), present.index(max(present))]]


@second()
def maze_steps(lines):
    cells = {(i, j): c for i, row in enumerate(lines[1:]) for j, c in enumerate(row)}
    reached, steps = {place for place, c in cells.items() if c == "S"}, 0
    while not any(cells[place] == "E" for place in reached):
        more = reached | {
            (i + di, j + dj)
            for i, j in reached
            for di, dj in ((0, 1), (1, 0), (0, -1), (-1, 0))
            if cells.get((i + di, j + dj), "#") != "#"
        }
        if more == reached:
            return "impossible"
        reached, steps = more, steps + 1
    return steps


@second()
def islands(lines):
    label = {(i, j): (i, j) for i, row in enumerate(lines[1:]) for j, c in enumerate(row) if c == "#"}
    changed = True
    while changed:
        changed = False
        for i, j in label:
            lowest = min(label.get(at, (99, 99)) for at in ((i, j), (i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)))
            changed |= lowest != label[i, j]
            label[i, j] = lowest
    names = list(label.values())
    return [[len(set(names)), max(map(names.count, names), default=0)]]


def components(nodes, edges):
    groups = [{node} for node in nodes]
    for edge in edges:
        touched = [group for group in groups if group & set(edge)]
        groups = [group for group in groups if group not in touched] + [set().union(*touched)]
    return groups


@second(growth=0.2, longest=300)
def joining_villages(lines):
    (n, m), *roads = rows(lines)
    after = (components(range(1, n + 1), roads[:k]) for k in range(1, m + 1))
    return [[len(groups), max(map(len, groups))] for groups in after]


@second(growth=0.03, longest=30)
def work_order(lines):
    (n, _), *rules = rows(lines)
    orders = permutations(range(1, n + 1))  # in lexicographic order
    fitting = (o for o in orders if all(o.index(a) < o.index(b) for a, b in rules))
    return [next(fitting, ("impossible",))]


@second()
def delivery_times(lines):
    (n, _), *roads = rows(lines)
    times = {1: 0}
    for _ in range(n):
        for a, b, time in roads:
            for one, other in ((a, b), (b, a)):
                if one in times:
                    times[other] = min(times.get(other, 10**9), times[one] + time)
    return [times.get(town, "never") for town in range(2, n + 1)]


@second()
def cheapest_cables(lines):
    (n, _), *cables = rows(lines)
    connected, total = {1}, 0
    while len(connected) < n:
        outward = [(price, a, b) for a, b, price in cables if len({a, b} & connected) == 1]
        if not outward:
            return "impossible"
        price, a, b = min(outward)
        connected, total = connected | {a, b}, total + price
    return total


@second(growth=0.08, longest=30)
def two_tables(lines):
    (n, _), *quarrels = rows(lines)
    for seats in product("AB", repeat=n):  # the first that fits has the smallest of every set at table A
        if all(seats[a - 1] != seats[b - 1] for a, b in quarrels):
            return [[i for i, seat in enumerate(seats, start=1) if seat == "A"]]
    return "impossible"


@second(growth=0.15, longest=300)
def longest_trail(lines):
    n = int(lines[0])
    d = {(a, b): 0 if a == b else 10**6 for a in range(1, n + 1) for b in range(1, n + 1)}
    for a, b in rows(lines[1:]):
        d[a, b] = d[b, a] = 1
    for k, a, b in product(range(1, n + 1), repeat=3):
        d[a, b] = min(d[a, b], d[a, k] + d[k, b])
    farthest = max(d.values())
    return [[farthest, sum(d[a, b] == farthest for a, b in combinations(range(1, n + 1), 2))]]


@second()
def critical_links(lines):
    (n, _), *links = rows(lines)
    near = {a: [x for link in links if a in link for x in link if x != a] for a in range(1, n + 1)}
    entered: dict[int, int] = {}
    low: dict[int, int] = {}
    found: list[list[int]] = []

    def visit(a, parent):
        entered[a] = low[a] = len(entered)
        for b in near[a]:
            if b not in entered:
                visit(b, a)
                low[a] = min(low[a], low[b])
                if low[b] > entered[a]:
                    found.append(sorted((a, b)))
            elif b != parent:
                low[a] = min(low[a], entered[b])

    visit(1, 0)
    return [len(found), *sorted(found)]


@second(growth=0.6, longest=100)
def round_trip(lines):
    d = rows(lines[1:])
    tours = ((0, *order, 0) for order in permutations(range(1, len(d))))
    return min(sum(d[a][b] for a, b in pairwise(tour)) for tour in tours)


@second(growth=0.06, longest=20)
def merging_piles(lines):
    def cost(piles):
        if len(piles) == 1:
            return 0
        return min(
            piles[i] + piles[i + 1] + cost([*piles[:i], piles[i] + piles[i + 1], *piles[i + 2 :]])
            for i in range(len(piles) - 1)
        )

    return cost(numbers(lines[1]))


@second(growth=0.03, longest=80)
def summer_jobs(lines):
    def possible(jobs):
        return all(a[1] < b[0] or b[1] < a[0] for a, b in combinations(jobs, 2))

    return max(sum(wage for *_, wage in jobs) for jobs in subsets(rows(lines[1:])) if possible(jobs))


@second()
def formulas(lines):
    return eval(lines[0], {"__builtins__": {}})


@second(growth=0.1, longest=1500)
def overtaking(lines):
    order = numbers(lines[1])
    swapped = [(i, j) for i, j in combinations(range(len(order)), 2) if order[i] > order[j]]
    return [[len(swapped), sum(j - i == 1 for i, j in swapped)]]

"""Tier 4: sorting, and taking what is best next."""

from __future__ import annotations

from problems.ladder.task import LOWER, tier

problem = tier(4)


@problem(
    cases=[
        [4, ["ann", 50], ["bob", 70], ["cy", 50], ["dee", 10]],
        [1, ["z", 0]],
        [3, ["c", 5], ["b", 5], ["a", 5]],
        [3, ["low", 1], ["mid", 2], ["top", 3]],
    ],
    random=lambda rng: [
        n := rng.size(2, 60),
        *([rng.word(2, 4) + LOWER[i % 26] * (1 + i // 26), rng.randint(0, 30)] for i in range(n)),
    ],
)
def ranking(read):
    """Make the table of results of a contest: most points first, people with equal points in alphabetical
    order. Equal points share a rank, and the ranks after them are skipped: with 70, 50, 50 and 10 points the
    ranks are 1, 2, 2 and 4.

    Input: the first line has the number of people n (1 to 60). Each of the next n lines has a name (1 to 10
    small letters) and the points (0 to 1000), separated by a space. All the names are different.

    Output: n lines, each with the rank, the name and the points, separated by single spaces.
    """
    people = [(name, int(points)) for name, points in (read.words() for _ in range(read.number()))]
    people.sort(key=lambda person: (-person[1], person[0]))
    scores = [points for _, points in people]
    return [[scores.index(points) + 1, name, points] for name, points in people]


@problem(cases=[186, 1, 200, 88, 9999, 3], random=lambda rng: rng.randint(4, 10000))
def change(read):
    """A cash machine pays out an amount with notes and coins of the values 200, 100, 50, 20, 10, 5, 2 and 1,
    as few pieces as possible. Which does it pay out?

    Input: one line with the amount, a whole number from 1 to 10000.

    Output: one line for each value of which at least one piece is paid out, largest value first: the number
    of pieces, a space, the letter x, a space, and the value.
    """
    amount, lines = read.number(), []
    for value in (200, 100, 50, 20, 10, 5, 2, 1):
        if amount >= value:
            lines.append(f"{amount // value} x {value}")
        amount %= value
    return lines


def spans(rng, n, top, longest):
    starts = rng.ints(n, 0, top - longest)
    return [n, *([start, start + rng.randint(1, longest)] for start in starts)]


@problem(
    cases=[
        [5, [2, 9], [1, 3], [4, 7], [6, 8], [7, 10]],
        [1, [0, 1]],
        [3, [0, 10], [1, 2], [2, 3]],
        [4, [5, 6], [5, 6], [5, 6], [6, 7]],
    ],
    random=lambda rng: spans(rng, rng.size(3, 150), 400, rng.choice([20, 100])),
)
def one_room(read):
    """A club has one room and gets n requests for it, each from a start time to an end time. Two requests can
    both be granted if they do not overlap; one may start at the moment when the other ends. What is the
    largest number of requests that can be granted?

    Input: the first line has n (1 to 150). Each of the next n lines has the start and the end of a request,
    whole numbers separated by a space (0 <= start < end <= 1000).

    Output: one line with the largest number of requests.
    """
    granted = free = 0
    for end, start in sorted((end, start) for start, end in read.rows(read.number())):
        if start >= free:
            granted, free = granted + 1, end
    return granted


@problem(
    cases=[
        [4, [7, 9], [1, 4], [12, 12], [3, 6]],
        [1, [5, 5]],
        [3, [1, 2], [2, 3], [4, 5]],
        [3, [1, 100], [20, 30], [-5, 0]],
        [2, [7, 9], [7, 9]],
    ],
    random=lambda rng: [
        n := rng.size(3, 120),
        *([s, s + rng.randint(0, 12)] for s in rng.ints(n, -500, 480)),
    ],
)
def painted_fence(read):
    """Somebody paints a long fence in n strokes, each from one place to another. Which parts of the fence are
    painted? Strokes that overlap or touch at a single place belong to the same part.

    Input: the first line has n (1 to 120). Each of the next n lines has the left and the right end of a
    stroke, whole numbers separated by a space (-1000 <= left <= right <= 1000).

    Output: the first line has the number of painted parts. Then follows one line for each part, from left to
    right: its left and its right end, separated by a space.
    """
    parts: list[list[int]] = []
    for left, right in sorted(read.rows(read.number())):
        if parts and left <= parts[-1][1]:
            parts[-1][1] = max(parts[-1][1], right)
        else:
            parts.append([left, right])
    return [len(parts), *parts]


@problem(
    cases=[
        [[5, 100], [60, 40, 90, 50, 50]],
        [[1, 80], [80]],
        [[4, 200], [50, 50, 50, 50]],
        [[3, 100], [51, 50, 52]],
    ],
    random=lambda rng: [[n := rng.size(3, 150), rng.randint(100, 160)], rng.ints(n, 30, 100)],
)
def boats(read):
    """A group of n people wants to cross a river. A boat carries one or two people who together weigh no more
    than w. How many boats do they need at least?

    Input: two lines. The first has n (1 to 150) and w (1 to 200), separated by a space; the second the
    weights of the people, whole numbers separated by single spaces (from 1 to w).

    Output: one line with the smallest number of boats.
    """
    _, w = read.numbers()
    people = sorted(read.numbers())
    boats = 0
    while people:
        if people.pop() + (people[0] if people else w) <= w:
            people.pop(0)
        boats += 1
    return boats


def version(rng):
    return ".".join(str(rng.choice([0, 1, 2, 9, 10, 11, 100])) for _ in range(rng.randint(1, 4)))


@problem(
    cases=[
        [5, "1.10", "1.9.5", "1.9", "2", "1.2.30"],
        [1, "0"],
        [4, "1.0", "1", "1.0.0", "0.9"],
        [3, "10.2", "9.11", "9.2"],
    ],
    random=lambda rng: [
        len(all_ := sorted({version(rng) for _ in range(rng.size(3, 60))})),
        *rng.sample(all_, len(all_)),
    ],
)
def versions(read):
    """Put version numbers in order, oldest first. A version has one or more parts with full stops between
    them. Two versions are compared part by part from the left, the parts as numbers: 1.9 is older than 1.10.
    If one version ends where the other goes on and all is equal up to there, the shorter one is older: 1 is
    older than 1.0.

    Input: the first line has the number of versions n (1 to 60). Each of the next n lines has a version: 1 to
    4 whole numbers from 0 to 100 without leading zeros, with full stops between them. All the versions are
    different.

    Output: n lines with the versions, oldest first.
    """
    return sorted(read.lines(read.number()), key=lambda text: [int(part) for part in text.split(".")])


@problem(
    cases=[
        [[4, 10, 30], [4, 9, 17, 25]],
        [[1, 5, 5], [3]],
        [[2, 10, 40], [10, 20]],
        [[3, 20, 60], [20, 40, 59]],
        [[1, 5, 8], [6]],
    ],
    random=lambda rng: [
        [n := rng.size(3, 100), 1000 // n + rng.randint(40, 160), 1000],
        sorted(rng.sample(range(1, 1000), n)),
    ],
)
def refuelling(read):
    """A car starts with a full tank on a straight road of length d. A full tank lasts for a distance of r.
    There are n filling stations on the road, where the tank can be filled up. How many stops does the car
    need at least to reach the end of the road?

    Input: two lines. The first has n (1 to 100), r (1 to 1000) and d (1 to 1000), separated by single spaces;
    the second the distances of the stations from the start, n different whole numbers in increasing order,
    separated by single spaces (from 1 to d).

    Output: one line with the smallest number of stops, or the word impossible if the car cannot reach the
    end.
    """
    _, r, d = read.numbers()
    stops, tank_end, latest = 0, r, 0
    for place in [*read.numbers(), d]:
        if place > tank_end:
            stops, tank_end = stops + 1, latest + r
        if place > tank_end:
            return "impossible"
        latest = place
    return stops

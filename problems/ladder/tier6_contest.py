"""Tier 6: harder dynamic programming, parsing and counting, at the level of an easy contest."""

from __future__ import annotations

from bisect import bisect_right

from problems.ladder.task import tier

problem = tier(6)


def distances(rng, n):
    table = [[0] * n for _ in range(n)]
    for i in range(n):
        for j in range(i):
            table[i][j] = table[j][i] = rng.randint(1, 100)
    return [n, *table]


@problem(
    cases=[
        [4, [0, 8, 3, 6], [8, 0, 9, 2], [3, 9, 0, 4], [6, 2, 4, 0]],
        [2, [0, 7], [7, 0]],
        [3, [0, 1, 1], [1, 0, 1], [1, 1, 0]],
        [5, [0, 1, 9, 9, 1], [1, 0, 1, 9, 9], [9, 1, 0, 1, 9], [9, 9, 1, 0, 1], [1, 9, 9, 1, 0]],
    ],
    random=lambda rng: distances(rng, rng.size(3, 10)),
)
def round_trip(read):
    """A postman starts in village 1, visits every other village exactly once and returns to village 1. How
    long is the shortest such round trip?

    Input: the first line has the number of villages n (2 to 10). Each of the next n lines has n whole numbers
    separated by single spaces: the distances from one village to each of the villages 1 to n (from 1 to 100;
    0 from a village to itself). The distance is the same in both directions.

    Output: one line with the length of the shortest round trip.
    """
    n = read.number()
    d = read.rows(n)
    best = {(1, 0): 0}  # (villages visited as bits, the last of them) -> length
    for visited in range(1, 1 << n, 2):
        for last in range(n):
            if (visited, last) in best:
                for to in range(1, n):
                    if not visited >> to & 1:
                        key, length = (visited | 1 << to, to), best[visited, last] + d[last][to]
                        best[key] = min(best.get(key, length), length)
    return min(best[(1 << n) - 1, last] + d[last][0] for last in range(1, n))


@problem(
    cases=[[4, [3, 8, 2, 5]], [1, [9]], [2, [4, 6]], [5, [1, 1, 1, 1, 1]], [6, [9, 1, 1, 1, 1, 9]]],
    random=lambda rng: rng.counted(rng.size(3, 60), 1, 100),
)
def merging_piles(read):
    """Piles of sand stand in a row. Two piles next to each other can be merged into one, in their place, and
    that costs as many coins as both weigh together. What does it cost at least to merge all of them into one
    pile?

    Input: two lines. The first has the number of piles n (1 to 60), the second their weights from left to
    right, whole numbers separated by single spaces (from 1 to 100).

    Output: one line with the smallest total cost.
    """
    n, weights = read.number(), read.numbers()
    cost = [[0] * (n + 1) for _ in range(n + 1)]  # cost[i][j]: of the piles i to j - 1
    for length in range(2, n + 1):
        for i in range(n - length + 1):
            j = i + length
            cost[i][j] = sum(weights[i:j]) + min(cost[i][k] + cost[k][j] for k in range(i + 1, j))
    return cost[0][n]


@problem(
    cases=[
        [4, [1, 3, 50], [2, 5, 80], [4, 7, 40], [6, 9, 30]],
        [1, [1, 1, 1]],
        [3, [1, 10, 10], [1, 5, 6], [6, 10, 6]],
        [3, [1, 2, 5], [2, 3, 5], [3, 4, 5]],
    ],
    random=lambda rng: [
        n := rng.size(4, 200),
        *([s, s + rng.randint(0, 60), rng.randint(1, 1000)] for s in rng.ints(n, 1, 900)),
    ],
)
def summer_jobs(read):
    """Each of n summer jobs lasts from one day to another and pays a wage. Nobody can work in two jobs on the
    same day, not even when one ends and the other begins on it. How much can be earned at most?

    Input: the first line has n (1 to 200). Each of the next n lines has the first day, the last day and the
    wage of a job, whole numbers separated by single spaces (1 <= first day <= last day <= 1000, wage from 1
    to 1000).

    Output: one line with the largest amount that can be earned.
    """
    jobs = sorted(read.rows(read.number()), key=lambda job: job[1])
    ends = [last for _, last, _ in jobs]
    best = [0]
    for k, (first, _, wage) in enumerate(jobs):
        best.append(max(best[k], best[bisect_right(ends, first - 1, 0, k)] + wage))
    return best[-1]


def formula(rng, depth):
    if depth == 0 or rng.random() < 0.2:
        return str(rng.randint(0, 9)) if rng.random() < 0.7 else str(rng.randint(10, 30))
    left, right = formula(rng, depth - 1), formula(rng, depth - 1)
    text = f"{left}{rng.choice('++--*')}{right}"
    return f"({text})" if rng.random() < 0.4 else text


def small_formula(rng):
    while True:
        text = formula(rng, rng.size(1, 6))
        # No value on the way to the result is larger than the formula's without minus signs and zeros.
        if len(text) <= 200 and abs(value_of(text.replace("-", "+").replace("0", "1"))) < 10**9:
            return text


def value_of(text):
    """The value of a formula by recursive descent, one function a level of precedence."""
    at = 0

    def expression() -> int:
        nonlocal at
        value = term()
        while at < len(text) and text[at] in "+-":
            at += 1
            value += term() if text[at - 1] == "+" else -term()
        return value

    def term() -> int:
        nonlocal at
        value = factor()
        while at < len(text) and text[at] == "*":
            at += 1
            value *= factor()
        return value

    def factor() -> int:
        nonlocal at
        if text[at] == "(":
            at += 1
            value = expression()
            at += 1
            return value
        start = at
        while at < len(text) and text[at].isdigit():
            at += 1
        return int(text[start:at])

    return expression()


@problem(
    cases=["2+3*(4-1)", "7", "1-2-3", "2*3-4*5", "((5))", "10-(2-(3-4))*6"],
    random=small_formula,
)
def formulas(read):
    """Compute the value of a formula of whole numbers, the signs +, - and *, and parentheses. As usual,
    multiplication comes before addition and subtraction, which go from left to right, and what is in
    parentheses comes first.

    Input: one line with the formula, 1 to 200 characters without spaces. The numbers in it have one or two
    digits. A minus sign always stands between two values; there are no negative numbers in the formula.

    Output: one line with the value. Neither it nor any value on the way to it leaves the range from
    -1000000000 to 1000000000.
    """
    return value_of(read.line())


@problem(
    cases=[[6, [3, 1, 2, 6, 4, 5]], [1, [1]], [5, [5, 4, 3, 2, 1]], [4, [1, 2, 3, 4]], [2, [2, 1]]],
    random=lambda rng: [n := rng.size(5, 1500), rng.sample(range(1, n + 1), n)],
)
def overtaking(read):
    """The cars of a race are numbered in the order in which they started. You know the order in which they
    finished. Two cars have changed places if the one that started later finished earlier. How many pairs of
    cars have changed places, and in how many of these pairs do the two cars finish directly one after the
    other?

    Input: two lines. The first has the number of cars n (1 to 1500), the second the numbers 1 to n of the
    cars in the order in which they finished, separated by single spaces.

    Output: one line with the two numbers of pairs, separated by a space.
    """
    n, order = read.number(), read.numbers()
    before: list[int] = []
    pairs = 0
    for place, car in enumerate(order):
        at = bisect_right(before, car)
        pairs += place - at
        before.insert(at, car)
    return [[pairs, sum(order[i] > order[i + 1] for i in range(n - 1))]]

"""Tier 5: binary search, prefix sums, two pointers."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from itertools import accumulate

from problems.ladder.task import tier

problem = tier(5)


def ranges(rng, n, q):
    return [sorted(rng.ints(2, 1, n)) for _ in range(q)]


@problem(
    cases=[
        [[6, 3], [4, -2, 7, 1, 0, 5], [1, 3], [4, 4], [1, 6]],
        [[1, 1], [9], [1, 1]],
        [[3, 2], [-1, -2, -3], [2, 3], [1, 2]],
    ],
    random=lambda rng: [[n := rng.size(5, 400), q := rng.size(3, 300)], rng.ints(n, -10000, 10000), *ranges(rng, n, q)],
)
def lake_level(read):
    """The water level of a lake changes every day. By how much does it change in all from one day to another?

    Input: the first line has the number of days n (1 to 400) and of questions q (1 to 300), separated by a
    space. The second has the changes of day 1 to day n, whole numbers separated by single spaces (from -10000
    to 10000). Each of the next q lines has two days a and b, separated by a space (1 <= a <= b <= n).

    Output: q lines, each with the sum of the changes from day a to day b, both days included.
    """
    _, q = read.numbers()
    level = [0, *accumulate(read.numbers())]
    return [level[b] - level[a - 1] for a, b in read.rows(q)]


@problem(
    cases=[["abcbdbdbbdcdab", 3], ["a", 1], ["abc", 1], ["aabbcc", 26], ["xyxyxzzz", 2]],
    random=lambda rng: [rng.word(n := rng.size(5, 500), n, "abcdef"), rng.randint(1, 5)],
)
def few_colours(read):
    """Beads on a string have colours, written as letters. What is the length of the longest piece of the
    string that has at most k different colours?

    Input: two lines. The first has the colours of the beads, 1 to 500 small letters; the second the whole
    number k (1 to 26).

    Output: one line with the length of the longest such piece.
    """
    beads, k = read.line(), read.number()
    counts: Counter[str] = Counter()
    start = 0
    for bead in beads:  # the piece grows with every bead and shrinks by at most one: its length never drops
        counts[bead] += 1
        if len(counts) > k:
            counts[beads[start]] -= 1
            counts += Counter()  # drop zeros
            start += 1
    return len(beads) - start


@problem(
    cases=[
        [[5, 4], [7, 3, 9, 3, 5], [4], [3], [10], [0]],
        [[1, 2], [5], [5], [6]],
        [[3, 2], [2, 2, 2], [2], [3]],
    ],
    random=lambda rng: [
        [n := rng.size(5, 400), q := rng.size(3, 300)],
        rng.ints(n, -999, 999),
        *rng.ints(q, -1000, 1000),
    ],
)
def cheaper_offers(read):
    """A market has n offers. For several prices: how many offers are cheaper than the price, and what is the
    cheapest offer that is not cheaper than it?

    Input: the first line has the number of offers n (1 to 400) and of questions q (1 to 300), separated by a
    space. The second has the offers in no special order, whole numbers separated by single spaces (from -1000
    to 1000: somebody may pay for getting rid of things). Each of the next q lines has a price, a whole number
    from -1000 to 1000.

    Output: q lines. Each has the number of offers below the price, a space, and the smallest offer that is
    equal to the price or above it, or the word none if there is no such offer.
    """
    n, q = read.numbers()
    offers = sorted(read.numbers())
    places = [bisect_left(offers, price) for (price,) in read.rows(q)]
    return [[at, offers[at] if at < n else "none"] for at in places]


@problem(
    cases=[
        [[6, 3], [5, 2, 8, 4, 3, 7]],
        [[1, 1], [6]],
        [[4, 4], [1, 9, 3, 2]],
        [[3, 1], [5, 5, 5]],
        [[3, 2], [1, 1, 100]],
    ],
    random=lambda rng: [[n := rng.size(5, 300), rng.randint(1, min(n, 12))], rng.ints(n, 1, 1000)],
)
def reading_plan(read):
    """A book has n chapters, which are to be read in order within d days, every chapter as a whole on one
    day. The day with the most pages should be as light as possible. How many pages does it have?

    Input: two lines. The first has n (1 to 300) and d (1 to n), separated by a space; the second the numbers
    of pages of the chapters in order, whole numbers separated by single spaces (from 1 to 1000).

    Output: one line with the pages of the fullest day in the best plan.
    """
    _, days = read.numbers()
    pages = read.numbers()

    def days_needed(limit: int) -> int:
        needed, today = 1, 0
        for p in pages:
            needed, today = (needed, today + p) if today + p <= limit else (needed + 1, p)
        return needed

    low, high = max(pages), sum(pages)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if days_needed(middle) <= days else (middle + 1, high)
    return low


@problem(
    cases=[
        [[5, 10], [1, 4, 7, 12, 5]],
        [[2, 0], [-5, 3]],
        [[3, 100], [1, 2, 3]],
        [[4, 6], [3, 3, 2, 4]],
        [[3, 5], [1, 2, 5]],
    ],
    random=lambda rng: [[n := rng.size(4, 400), rng.randint(-9000, 9000)], rng.ints(n, -5000, 5000)],
)
def balanced_pair(read):
    """Which two of n weights together come closest to a target t? If two sums are equally close, the smaller
    sum counts.

    Input: two lines. The first has n (2 to 400) and t (-10000 to 10000), separated by a space; the second the
    weights, whole numbers separated by single spaces (from -5000 to 5000).

    Output: one line with the sum of two weights at different places that is closest to t.
    """
    n, t = read.numbers()
    weights = sorted(read.numbers())
    i, j, best = 0, n - 1, weights[0] + weights[1]
    while i < j:
        total = weights[i] + weights[j]
        best = min(best, total, key=lambda s: (abs(s - t), s))
        i, j = (i + 1, j) if total < t else (i, j - 1)
    return best


@problem(
    cases=[[[5, 3], [2, 1, 3, 4, 5]], [[1, 7], [5]], [[1, 7], [14]], [[4, 1], [9, 9, 9, 9]], [[3, 5], [-2, -3, 5]]],
    random=lambda rng: [[n := rng.size(5, 400), rng.randint(2, 40)], rng.ints(n, -100, 100)],
)
def even_shares(read):
    """Boxes with sweets stand in a row (a negative number is a debt of sweets). Somebody takes one or more
    boxes in a row and shares all the sweets in them evenly among k children. In how many ways can the boxes
    be chosen so that no sweets are left over, that is, so that their sum is divisible by k (0 and negative
    sums can be divisible too)?

    Input: two lines. The first has the number of boxes n (1 to 400) and k (1 to 50), separated by a space;
    the second the sweets in the boxes in order, whole numbers separated by single spaces (from -100 to 100).

    Output: one line with the number of ways.
    """
    _, k = read.numbers()
    remainders = Counter(total % k for total in accumulate(read.numbers(), initial=0))
    return sum(count * (count - 1) // 2 for count in remainders.values())


@problem(
    cases=["xnoonyabbaz", "x", "abc", "abcddcbx", "zzzz"],
    random=lambda rng: (
        (w := rng.word(2, rng.size(2, 100), "abcd")) + rng.choice(["", "a", "bc"]) + w[::-1] + rng.word(1, 90, "ab")
    ),
)
def mirror_in_a_word(read):
    """Find the longest piece of a word, of letters next to each other, that reads the same forwards and
    backwards. If there are several of the same length, take the one that begins first.

    Input: one line with a word of 1 to 300 small letters.

    Output: one line with the piece.
    """
    word, best = read.line(), ""
    for middle in range(2 * len(word) - 1):  # a letter, or the gap after one
        i, j = middle // 2, (middle + 1) // 2
        while i >= 0 and j < len(word) and word[i] == word[j]:
            i, j = i - 1, j + 1
        best = max(best, word[i + 1 : j], key=len)
    return best


@problem(
    cases=[[8, [0, 3, 1, 2, 0, 4, 1, 2]], [1, [5]], [2, [1, 9]], [5, [1, 2, 3, 2, 1]], [5, [5, 0, 0, 0, 5]]],
    random=lambda rng: rng.counted(rng.size(4, 400), 0, 50),
)
def rain_puddles(read):
    """Columns of blocks stand side by side on the ground, each one unit wide. It rains until all the hollows
    between them are full; water flows off over both ends. How many units of water stay?

    Input: two lines. The first has the number of columns n (1 to 400), the second their heights from left to
    right, whole numbers separated by single spaces (from 0 to 100).

    Output: one line with the units of water.
    """
    n, h = read.number(), read.numbers()
    left, right = [*accumulate(h, max)], [*accumulate(h[::-1], max)][::-1]
    return sum(min(left[i], right[i]) - h[i] for i in range(n))


def visits(rng, n):
    arrivals = rng.ints(n, 0, 900)
    return [n, *([a, a + rng.randint(1, 90)] for a in arrivals)]


@problem(
    cases=[
        [4, [1, 5], [3, 9], [4, 6], [7, 8]],
        [1, [0, 1000]],
        [3, [1, 2], [2, 3], [3, 4]],
        [3, [5, 6], [1, 2], [3, 4]],
        [3, [2, 8], [2, 8], [2, 8]],
    ],
    random=lambda rng: visits(rng, rng.size(4, 300)),
)
def crowded_museum(read):
    """Each visitor of a museum comes at one minute and goes at a later one; at the minute of going the
    visitor is no longer there. What is the largest number of visitors at the same time, and which is the
    first minute with so many?

    Input: the first line has the number of visitors n (1 to 300). Each of the next n lines has the minute of
    coming and the minute of going of a visitor, whole numbers separated by a space (0 <= coming < going <=
    1000).

    Output: one line with the largest number of visitors and the first such minute, separated by a space.
    """
    changes = [0] * 1001
    for coming, going in read.rows(read.number()):
        changes[coming] += 1
        changes[going] -= 1
    present = [*accumulate(changes)]
    return [[max(present), present.index(max(present))]]

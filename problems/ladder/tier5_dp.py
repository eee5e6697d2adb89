"""Tier 5: dynamic programming in one or two dimensions."""

from __future__ import annotations

from problems.ladder.task import tier

problem = tier(5)
PRIME = 1000007  # a product of two remainders stays below 2**53, so numbers that are floating point will do


@problem(
    cases=[[[5, 1], [3]], [[2, 1], [1]], [[1, 1], [1]], [[4, 3], [1, 2, 3]], [[1000, 1], [500]], [[7, 2], [3, 6]]],
    random=lambda rng: [
        [n := rng.size(4, 800), m := rng.randint(1, 1 + n // 12)],
        sorted(rng.sample(range(1, n + 1), m)),
    ],
)
def broken_stairs(read):
    """A staircase has n steps, and somebody goes up from the floor to step n, climbing 1, 2 or 3 steps at a
    time. Some steps are broken and must not be stepped on. In how many ways can this be done?

    Input: two lines. The first has n (1 to 1000) and the number of broken steps m (1 to n), separated by a
    space; the second the m numbers of the broken steps in increasing order, separated by single spaces.

    Output: one line with the number of ways, as the remainder of its division by 1000007.
    """
    n, _ = read.numbers()
    broken = set(read.numbers())
    ways = [1, 0, 0]  # to the step just reached and the two below it
    for step in range(1, n + 1):
        ways = [0 if step in broken else sum(ways) % PRIME, *ways[:2]]
    return ways[0]


@problem(
    cases=[[[3, 11], [1, 5, 7]], [[1, 3], [2]], [[2, 0], [5, 9]], [[2, 1000], [999, 500]], [[3, 30], [1, 10, 25]]],
    random=lambda rng: [[n := rng.randint(2, 6), rng.size(20, 2000)], sorted(rng.sample(range(2, 90), n))],
)
def fewest_stamps(read):
    """Stamps come in n values, and there are as many of each as anybody wants. What is the smallest number of
    stamps with which a letter that costs c can be paid exactly?

    Input: two lines. The first has n (1 to 10) and c (0 to 2000), separated by a space; the second the n
    different values of the stamps, whole numbers separated by single spaces (from 1 to 1000).

    Output: one line with the smallest number of stamps, or the word impossible.
    """
    _, cost = read.numbers()
    values = read.numbers()
    fewest = [0]
    for c in range(1, cost + 1):
        fewest.append(min((fewest[c - v] + 1 for v in values if v <= c), default=cost + 1))
    return fewest[cost] if fewest[cost] <= cost else "impossible"


@problem(
    cases=[[8, [5, 2, 8, 6, 3, 6, 9, 7]], [1, [4]], [4, [9, 7, 5, 3]], [4, [2, 2, 2, 2]], [5, [-2, -1, 0, 1, 2]]],
    random=lambda rng: rng.counted(rng.size(5, 400), -500, 500),
)
def growing_towers(read):
    """From a row of n towers some are to be kept and all others torn down, so that each tower that is kept is
    higher than the one kept before it. The order of the towers does not change. How many can be kept at most?

    Input: two lines. The first has n (1 to 400), the second the heights of the towers in order, whole numbers
    separated by single spaces (from -500 to 500; a negative tower is a pit).

    Output: one line with the largest number of towers that can be kept.
    """
    n, h = read.number(), read.numbers()
    best: list[int] = []
    for i in range(n):
        best.append(1 + max((best[j] for j in range(i) if h[j] < h[i]), default=0))
    return max(best)


@problem(
    cases=[[[3, 10], [5, 60], [4, 40], [6, 70]], [[1, 5], [6, 100]], [[2, 7], [3, 1], [4, 1]], [[1, 5], [5, 1]]],
    random=lambda rng: [
        [n := rng.size(3, 50), rng.size(20, 500)],
        *([rng.randint(1, 60), rng.randint(1, 500)] for _ in range(n)),
    ],
)
def full_backpack(read):
    """A backpack carries at most w kilograms. There are n things, each with a weight and a value, and each
    can be packed once or left behind. What is the largest total value that can be packed?

    Input: the first line has n (1 to 50) and w (1 to 500), separated by a space. Each of the next n lines has
    the weight (1 to 500) and the value (1 to 1000) of a thing, separated by a space.

    Output: one line with the largest total value.
    """
    n, capacity = read.numbers()
    best = [0] * (capacity + 1)
    for weight, value in read.rows(n):
        for room in range(capacity, weight - 1, -1):
            best[room] = max(best[room], best[room - weight] + value)
    return best[capacity]


@problem(
    cases=[
        [8, [-2, 4, -1, 3, -5, 2, 2, -9]],
        [1, [-7]],
        [3, [-5, -2, -9]],
        [4, [1, 2, 3, 4]],
        [5, [10, -20, 10, -20, 10]],
    ],
    random=lambda rng: rng.counted(rng.size(5, 500), -100, 90),
)
def best_stretch(read):
    """A shop writes down its gain or loss of every day. What is the largest sum of one or more days in a row?

    Input: two lines. The first has the number of days n (1 to 500), the second the gains, negative for a
    loss: whole numbers separated by single spaces (from -1000 to 1000).

    Output: one line with the largest sum.
    """
    read.number()
    best = here = -(10**9)
    for gain in read.numbers():
        here = max(here, 0) + gain
        best = max(best, here)
    return best


@problem(
    cases=[["handel", "wandern"], ["a", "b"], ["abc", "abc"], ["aaaa", "aa"], ["abcdef", "fedcba"]],
    random=lambda rng: [rng.word(n := rng.size(3, 120), n, "abcd"), rng.word(2, n, "abcd")],
)
def common_subsequence(read):
    """Letters are struck out of two words until what is left of both is the same. How many letters can be
    left in each at most?

    Input: two lines, each with a word of 1 to 120 small letters.

    Output: one line with the largest number of letters that can be left in each word (0 if the words share no
    letter).
    """
    first, second = read.lines(2)
    row = [0] * (len(second) + 1)
    for a in first:
        above, row = row, [0]
        for j, b in enumerate(second):
            row.append(above[j] + 1 if a == b else max(row[j], above[j + 1]))
    return row[-1]


@problem(
    cases=[["summer", "smell"], ["a", "a"], ["a", "bcd"], ["pharmacy", "farmhouse"], ["abcabc", "bcabca"]],
    random=lambda rng: [rng.word(n := rng.size(3, 100), n, "abc"), rng.word(2, n, "abc")],
)
def spelling_distance(read):
    """One correction of a word is to insert a letter, to remove a letter, or to replace a letter by another.
    How many corrections does it take at least to turn one word into another?

    Input: two lines, each with a word of 1 to 100 small letters.

    Output: one line with the smallest number of corrections.
    """
    first, second = read.lines(2)
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        above, row = row, [i]
        for j, b in enumerate(second):
            row.append(min(above[j] + (a != b), above[j + 1] + 1, row[j] + 1))
    return row[-1]


@problem(
    cases=[
        [[3, 4], "....", ".#..", "...."],
        [[1, 1], "."],
        [[2, 2], ".#", "#."],
        [[1, 5], "....."],
        [[25, 25], *["." * 25] * 25],
        [[2, 3], "#..", "..."],
    ],
    random=lambda rng: [[h := rng.randint(2, 25), w := rng.size(2, 25)], *rng.grid(h, w, "......#")],
)
def garden_paths(read):
    """A garden is a grid of squares, some with a bush (#), the others free (.). A hedgehog wants to go from
    the top left square to the bottom right one over free squares, each step one square to the right or one
    square down. How many ways are there?

    Input: the first line has the height h and the width w of the grid, separated by a space (each from 1 to
    25). Each of the next h lines has w characters, # or . for each square. There may be a bush on the first
    or the last square; then there is no way.

    Output: one line with the number of ways, as the remainder of its division by 1000007.
    """
    h, w = read.numbers()
    ways = [1] + [0] * (w - 1)
    for row in read.lines(h):
        for j in range(w):
            ways[j] = 0 if row[j] == "#" else (ways[j] + (ways[j - 1] if j else 0)) % PRIME
    return ways[-1]


@problem(
    cases=[[5, [6, 7, 1, 30, 8]], [1, [0]], [2, [4, 9]], [4, [5, 5, 5, 5]], [4, [10, 1, 1, 10]], [3, [2, 3, 2]]],
    random=lambda rng: rng.counted(rng.size(4, 300), 0, 500),
)
def berry_bushes(read):
    """Bushes with berries stand in a row. Whoever picks the berries of a bush scares the birds so much that
    they empty the bushes right next to it. How many berries can be picked at most?

    Input: two lines. The first has the number of bushes n (1 to 300), the second the number of berries on
    each, whole numbers separated by single spaces (from 0 to 1000).

    Output: one line with the largest number of berries.
    """
    read.number()
    picked = left = 0  # the best with the latest bush picked, and with it left alone
    for berries in read.numbers():
        picked, left = left + berries, max(picked, left)
    return max(picked, left)

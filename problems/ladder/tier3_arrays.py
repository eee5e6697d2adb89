"""Tier 3: sequences of numbers and tables."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

from problems.ladder.task import fixed, tier

problem = tier(3)


@problem(
    cases=[[5, [4, 9, 9, 2, 7]], [2, [1, 1]], [2, [-3, 8]], [1, [5]], [4, [-1, -2, -1, -3]]],
    random=lambda rng: rng.counted(rng.size(2, 200), -rng.size(2, 1000), 1000),
)
def second_largest(read):
    """Find the second largest of the different values in a sequence. Equal numbers count as one value.

    Input: two lines. The first has n (1 to 200), the second n whole numbers separated by single spaces (from
    -1000 to 1000).

    Output: one line with the second largest value, or the word none if all the numbers are equal.
    """
    read.number()
    values = sorted(set(read.numbers()))
    return values[-2] if len(values) > 1 else "none"


@problem(
    cases=[
        [[5, 2], [1, 2, 3, 4, 5]],
        [[1, 0], [9]],
        [[4, 4], [1, 2, 3, 4]],
        [[3, 1000], [7, 8, 9]],
        [[3, 0], [1, 2, 3]],
    ],
    random=lambda rng: [[n := rng.size(2, 150), rng.randint(0, 1000)], rng.ints(n, -999, 999)],
)
def carousel(read):
    """The numbers of a sequence sit on a carousel. It turns k times; at every turn each number moves one
    place to the right, and the last number moves to the first place. Print the sequence after that.

    Input: two lines. The first has n (1 to 150) and k (0 to 1000), separated by a space; the second n whole
    numbers separated by single spaces (from -999 to 999).

    Output: one line with the n numbers in their new order, separated by single spaces.
    """
    n, k = read.numbers()
    xs = read.numbers()
    return [xs[n - k % n :] + xs[: n - k % n]]


@problem(
    cases=[[6, [3, 1, 3, 2, 1, 5]], [1, [4]], [4, [7, 7, 7, 7]], [3, [3, 2, 1]]],
    random=lambda rng: rng.counted(n := rng.size(3, 200), 0, n),
)
def duplicates_removed(read):
    """Remove repetitions from a sequence: of equal numbers only the first stays.

    Input: two lines. The first has n (1 to 200), the second n whole numbers separated by single spaces (from
    0 to 1000).

    Output: two lines: how many numbers stay, then these numbers in their old order, separated by single
    spaces.
    """
    read.number()
    kept = [*dict.fromkeys(read.numbers())]
    return [len(kept), kept]


@problem(
    cases=[[[2, 3], [1, 2, 3], [4, 5, 6]], [[1, 1], [7]], [[1, 4], [1, 0, -1, 5]], [[3, 1], [1], [2], [3]]],
    random=lambda rng: [
        [m := rng.randint(1, 12), n := rng.size(2, 12)],
        *(rng.ints(n, -99, 99) for _ in range(m)),
    ],
)
def transpose(read):
    """Turn the rows of a table of numbers into columns: the first row becomes the first column, and so on.

    Input: the first line has the number of rows m and of columns n, separated by a space (each from 1 to 12).
    Each of the next m lines has a row: n whole numbers separated by single spaces (from -99 to 99).

    Output: n lines, each with m numbers separated by single spaces.
    """
    m, _ = read.numbers()
    return [*zip(*read.rows(m), strict=True)]


@problem(
    cases=[
        [7, [3, 1, 3, 2, 1, 5, 3]],
        [4, [8, 2, 8, 2]],
        [1, [-6]],
        [3, [30, 20, 10]],
        [5, [-1, -1, -2, -2, 0]],
    ],
    random=lambda rng: rng.counted(rng.size(3, 200), -9, rng.size(2, 30)),
)
def most_frequent(read):
    """Which number occurs most often in a sequence? If several numbers do, take the smallest of them.

    Input: two lines. The first has n (1 to 200), the second n whole numbers separated by single spaces (from
    -100 to 100).

    Output: one line with the number and how often it occurs, separated by a space.
    """
    read.number()
    counts = Counter(read.numbers())
    return [min(counts.items(), key=lambda item: (-item[1], item[0]))]


@problem(
    cases=[
        [[5, 6], [1, 5, 3, 3, 3]],
        [[1, 8], [4]],
        [[4, 0], [0, 0, 0, 0]],
        [[4, -3], [-1, -2, 1, -4]],
        [[3, 100], [1, 2, 3]],
    ],
    random=lambda rng: [[n := rng.size(3, 150), rng.randint(-20, 20)], rng.ints(n, -30, 30)],
)
def pairs_with_sum(read):
    """In how many ways can two numbers at different places of a sequence be chosen so that their sum is s?
    The order of the two does not matter, but equal numbers at different places count separately.

    Input: two lines. The first has n (1 to 150) and s (-200 to 200), separated by a space; the second n whole
    numbers separated by single spaces (from -100 to 100).

    Output: one line with the number of ways.
    """
    n, s = read.numbers()
    xs = read.numbers()
    return sum(xs[i] + xs[j] == s for i in range(n) for j in range(i))


@problem(
    cases=[
        [3, [1, 4, 9], 4, [2, 4, 5, 20]],
        [1, [5], 1, [3]],
        [1, [0], 3, [0, 0, 0]],
        [2, [-9, -8], 2, [-7, 100]],
    ],
    random=lambda rng: [
        m := rng.randint(1, 80),
        sorted(rng.ints(m, -99, 99)),
        n := rng.size(2, 80),
        sorted(rng.ints(n, -99, 150)),
    ],
)
def zip_together(read):
    """Two queues of people are each ordered by number, smallest first. Join them to one queue with the same
    order.

    Input: four lines: the length of the first queue (1 to 80), its numbers, the length of the second queue (1
    to 80), its numbers. The numbers are whole, from -200 to 200, separated by single spaces, and never
    decrease along a queue.

    Output: one line with all the numbers of both queues, smallest first, separated by single spaces.
    """
    read.number()
    first = read.numbers()
    read.number()
    return [sorted(first + read.numbers())]


@problem(
    cases=[[3, [9, 1, 5]], [4, [4, 1, 3, 2]], [1, [-7]], [2, [0, 1]], [5, [2, 2, 2, 100, -100]]],
    random=lambda rng: rng.counted(rng.size(3, 100), -1000, 1000),
)
def median(read):
    """Compute the median of n whole numbers: the one in the middle when they are put in order, or the mean of
    the two in the middle when n is even.

    Input: two lines. The first has n (1 to 100), the second n whole numbers separated by single spaces (from
    -1000 to 1000).

    Output: one line with the median, with exactly 4 digits after the decimal point.
    """
    n, xs = read.number(), sorted(read.numbers())
    return fixed((xs[(n - 1) // 2] + xs[n // 2]) / 2)


@problem(
    cases=[
        [7, [1, 3, 2, 2, 5, 4, 4]],
        [1, [6]],
        [2, [1, 2]],
        [3, [5, 5, 5]],
        [5, [9, 1, 9, 1, 9]],
        [3, [0, 1, 0]],
    ],
    random=lambda rng: rng.counted(rng.size(3, 200), 0, 9),
)
def peaks(read):
    """On a hike the height is measured n times. A peak is a measurement that is higher than the one before
    and higher than the one after it; the first and the last measurement are never peaks. Count the peaks.

    Input: two lines. The first has n (1 to 200), the second the n heights in order, whole numbers separated
    by single spaces (from 0 to 1000).

    Output: one line with the number of peaks.
    """
    n, h = read.number(), read.numbers()
    return sum(h[i - 1] < h[i] > h[i + 1] for i in range(1, n - 1))


@problem(
    cases=[
        [4, [5, 1, 2, 2], 3, [2, 5, 9]],
        [1, [1], 1, [2]],
        [3, [3, 3, 3], 2, [3, 3]],
        [3, [-1, -5, 0], 3, [0, -1, -5]],
    ],
    random=lambda rng: [*rng.counted(rng.size(2, 80), -60, 60), *rng.counted(rng.size(2, 80), -60, 60)],
)
def common_numbers(read):
    """Which numbers occur in both of two sequences?

    Input: four lines: the length of the first sequence (1 to 80), its numbers, the length of the second (1 to
    80), its numbers. The numbers are whole, from -100 to 100, separated by single spaces.

    Output: one line with the common numbers, each once, in increasing order, separated by single spaces; or
    the word none if there are no such numbers.
    """
    read.number()
    first = set(read.numbers())
    read.number()
    return [sorted(first & set(read.numbers())) or "none"]


@problem(
    cases=[[8, [1, 1, 2, 2, 2, 3, 1, 1]], [1, [4]], [4, [6, 6, 7, 7]], [5, [0, 0, 0, 0, 0]], [3, [1, 2, 1]]],
    random=lambda rng: rng.counted(rng.size(5, 200), 0, 2),
)
def longest_streak(read):
    """A sensor reports a level every hour. Which is the longest streak of equal levels one after the other?
    If there are several of the same length, take the first.

    Input: two lines. The first has the number of hours n (1 to 200), the second the n levels, whole numbers
    separated by single spaces (from 0 to 100).

    Output: one line with the level and the length of the streak, separated by a space.
    """
    read.number()
    streaks = [(level, len(list(run))) for level, run in groupby(read.numbers())]
    return [max(streaks, key=lambda streak: streak[1])]


@problem(
    cases=[[3, [1, 2, 3], [4, 5, 6], [7, 8, 9]], [1, [5]], [2, [-1, 1], [1, -1]], [2, [0, 3], [4, 0]]],
    random=lambda rng: [n := rng.size(2, 15), *(rng.ints(n, -50, 50) for _ in range(n))],
)
def diagonals(read):
    """Add up the numbers on the two diagonals of a square table: the one from top left to bottom right, and
    the one from top right to bottom left.

    Input: the first line has the size n (1 to 15). Each of the next n lines has n whole numbers separated by
    single spaces (from -50 to 50).

    Output: one line with the two sums in this order, separated by a space.
    """
    n = read.number()
    rows = read.rows(n)
    return [[sum(rows[i][i] for i in range(n)), sum(rows[i][n - 1 - i] for i in range(n))]]


@problem(
    cases=[[4, [2, 0, 3, 1]], [1, [0]], [1, [5]], [3, [0, 0, 2]], [3, [4, 4, 4]]],
    random=lambda rng: rng.counted(rng.size(2, 30), 0, rng.size(2, 20)),
)
def bar_chart(read):
    """Draw a chart of upright bars with the characters # and . as in the example. There is one column for
    each value, with as many # at its bottom as the value says, and . above them. The chart is as high as the
    largest value; if all the values are 0, it has one line, of dots.

    Input: two lines. The first has the number of values n (1 to 30), the second the values, whole numbers
    separated by single spaces (from 0 to 20).

    Output: the lines of the chart from top to bottom, each with n characters and no spaces.
    """
    read.number()
    heights = read.numbers()
    return ["".join("#" if h >= level else "." for h in heights) for level in range(max(1, *heights), 0, -1)]


@problem(
    cases=[[6, [7, 9, 4, 5, 2, 2]], [1, [3]], [4, [1, 2, 3, 4]], [4, [4, 3, 2, 1]], [3, [5, 5, 5]]],
    random=lambda rng: rng.counted(n := rng.size(4, 200), 0, 5 * n),
)
def sea_view(read):
    """Houses stand in a row, and the sea is to the right of the last one. A house sees the sea if every house
    to its right is lower than it is. Which houses see the sea?

    Input: two lines. The first has the number of houses n (1 to 200), the second their heights from left to
    right, whole numbers separated by single spaces (from 0 to 1000).

    Output: two lines: how many houses see the sea, then their places from left to right, separated by single
    spaces. Places are counted from 1.
    """
    n, h = read.number(), read.numbers()
    seeing = [i + 1 for i in range(n) if all(h[j] < h[i] for j in range(i + 1, n))]
    return [len(seeing), seeing]

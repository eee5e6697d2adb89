"""Tier 2: loops and conditions over whole numbers."""

from __future__ import annotations

from problems.ladder.task import tier

problem = tier(2)


@problem(cases=[4071, 0, 9, 10, 999999999, 1000000000], random=lambda rng: rng.randint(11, 10**9))
def sum_of_digits(read):
    """Add up the decimal digits of a whole number.

    Input: one line with a whole number from 0 to 1000000000.

    Output: one line with the sum of its digits.
    """
    return sum(map(int, read.line()))


@problem(cases=[[[7, 3]], [[1, 1]], [[12, 12]], [[100, 2]]], random=lambda rng: [rng.ints(2, 1, 30)])
def times_table(read):
    """Print the first m lines of the multiplication table of n.

    Input: one line with the whole numbers n and m, separated by a space (each from 1 to 100).

    Output: m lines. Line i has the form: n x i = p, where p is the product, with single spaces as in the
    example.
    """
    n, m = read.numbers()
    return [f"{n} x {i} = {n * i}" for i in range(1, m + 1)]


@problem(
    cases=[[4, 1, 3, 5, 12], [1, 0], [2, 0, 1], [5, 2, 4, 6, 8, 10]],
    random=lambda rng: [n := rng.size(1, 13), *rng.ints(n, 0, 12)],
)
def factorials(read):
    """The factorial of n is the product of all whole numbers from 1 to n; the factorial of 0 is 1. Print the
    factorials of several numbers.

    Input: the first line has the number of questions q (1 to 20). Each of the next q lines has a whole number
    from 0 to 12.

    Output: q lines, each with the factorial of a number, in the order of the input.
    """
    product, products = 1, [1]
    for i in range(1, 13):
        products.append(product := product * i)
    return [products[n] for (n,) in read.rows(read.number())]


@problem(cases=[[15], [1], [3], [7]], random=lambda rng: rng.randint(8, 100))
def tick_tock(read):
    """Count from 1 to n, but say tick instead of a multiple of 3, tock instead of a multiple of 5, and
    ticktock instead of a multiple of both.

    Input: one line with the whole number n (1 to 100).

    Output: n lines: what is said for 1, 2, and so on up to n.
    """
    return [("tick" * (i % 3 == 0) + "tock" * (i % 5 == 0)) or i for i in range(1, read.number() + 1)]


@problem(cases=[4, 1, 2, 40], random=lambda rng: rng.randint(3, 39))
def staircase(read):
    """Draw a staircase of n steps: the first line has one #, the second two, and so on.

    Input: one line with the whole number n (1 to 40).

    Output: n lines, line i with i times the character #.
    """
    return ["#" * i for i in range(1, read.number() + 1)]


@problem(cases=[[[3, 5]], [[1, 1]], [[1, 6]], [[20, 30]]], random=lambda rng: [rng.ints(2, 2, 20)])
def checkerboard(read):
    """Draw a checkerboard. Its squares are # and . by turns, along each row and down each column, and the top
    left square is a #.

    Input: one line with the number of rows and the number of columns, separated by a space (each from 1 to
    30).

    Output: as many lines as there are rows, each with one character a square and no spaces.
    """
    rows, columns = read.numbers()
    return ["".join(".#"[(i + j) % 2] for j in range(columns)) for i in range(1, rows + 1)]


@problem(cases=[6, 1, 2, 27, 97], random=lambda rng: rng.randint(3, 10000))
def collatz(read):
    """Start with a whole number n. As long as it is not 1, halve it if it is even, and otherwise multiply it
    by 3 and add 1. How many steps does it take to reach 1, and what is the largest number on the way, the
    start included?

    Input: one line with the whole number n (1 to 10000).

    Output: one line with the number of steps and the largest number, separated by a space.
    """
    n = top = read.number()
    steps = 0
    while n != 1:
        n = 3 * n + 1 if n % 2 else n // 2
        top, steps = max(top, n), steps + 1
    return [[steps, top]]


@problem(
    cases=[[5, [3, -1, 4, 1, 5]], [1, [7]], [3, [-5, -2, -9]], [4, [0, 0, 0, 0]], [2, [100000, -100000]]],
    random=lambda rng: rng.counted(rng.size(2, 100), -100000, 100000),
)
def smallest_and_largest(read):
    """Find the smallest and the largest of n whole numbers, and the difference between the two.

    Input: two lines. The first has n (1 to 100), the second n whole numbers separated by single spaces (from
    -100000 to 100000).

    Output: one line with the smallest, the largest and the difference, separated by single spaces.
    """
    read.number()
    xs = read.numbers()
    return [[min(xs), max(xs), max(xs) - min(xs)]]


@problem(
    cases=[[[3, 4, 5]], [[2, 2, 2]], [[5, 3, 5]], [[1, 2, 3]], [[10, 2, 3]], [[2, 9, 2]], [[4, 4, 7]]],
    random=lambda rng: [rng.ints(3, 1, 9)],
    examples=2,
)
def triangle_kind(read):
    """Three rods have whole lengths. Say what kind of triangle they form: equilateral (all sides equal),
    isosceles (exactly two sides equal) or scalene (no two equal). If the longest rod is as long as the other
    two together or longer, they form no triangle: say impossible.

    Input: one line with the three lengths, separated by single spaces (each from 1 to 1000).

    Output: one line with the word equilateral, isosceles, scalene or impossible.
    """
    a, b, c = sorted(read.numbers())
    if c >= a + b:
        return "impossible"
    return ("equilateral", "isosceles", "scalene")[len({a, b, c}) - 1]


ROUNDS = ["rock", "paper", "scissors"]


@problem(
    cases=[
        [4, "rock scissors", "paper paper", "rock paper", "scissors paper"],
        [1, "rock rock"],
        [3, "paper scissors", "scissors rock", "rock paper"],
        [2, "paper rock", "scissors paper"],
    ],
    random=lambda rng: [n := rng.size(2, 60), *([rng.choice(ROUNDS), rng.choice(ROUNDS)] for _ in range(n))],
)
def rock_paper_scissors(read):
    """Two players play rock, paper, scissors: rock beats scissors, scissors beats paper, paper beats rock,
    and two equal choices are a draw. How many rounds does each of them win?

    Input: the first line has the number of rounds n (1 to 100). Each of the next n lines has the choice of
    the first player and that of the second, separated by a space.

    Output: one line with the rounds won by the first player, those won by the second, and the draws,
    separated by single spaces.
    """
    results = [0, 0, 0]
    for _ in range(read.number()):
        first, second = map(ROUNDS.index, read.words())
        results[(first - second) % 3 - 1] += 1
    return [results]


@problem(cases=[12, 1, 7, 36, 9973, 5040], random=lambda rng: rng.randint(2, 10000))
def divisors(read):
    """Print all positive whole numbers that divide n without remainder.

    Input: one line with the whole number n (1 to 10000).

    Output: two lines: the number of divisors, then the divisors in increasing order, separated by single
    spaces.
    """
    n = read.number()
    found = [d for d in range(1, n + 1) if n % d == 0]
    return [len(found), found]


@problem(
    cases=[[[1000, 10, 1500]], [[100, 100, 100]], [[1, 50, 2]], [[100, 100, 1000000]]],
    random=lambda rng: [[rng.randint(100, 1000), rng.randint(1, 40), rng.randint(1000, 50000)]],
)
def savings(read):
    """Somebody puts money into a savings account. At the end of every year the bank adds p percent of the
    amount then in the account, rounded down to a whole coin, but never less than 1 coin. After how many years
    are there at least g coins in the account?

    Input: one line with three whole numbers separated by single spaces: the coins put in at first (1 to
    1000), the percentage p (1 to 100) and the goal g (1 to 1000000).

    Output: one line with the number of years (0 if the goal is reached at once) and the coins in the account
    at that time, separated by a space.
    """
    coins, p, goal = read.numbers()
    years = 0
    while coins < goal:
        coins += max(1, coins * p // 100)
        years += 1
    return [[years, coins]]


@problem(cases=[10, 0, 1, 255, 256, 1000000000], random=lambda rng: rng.randint(3, 10**9))
def binary(read):
    """Write a whole number in the binary system.

    Input: one line with a whole number from 0 to 1000000000.

    Output: one line with its binary digits, without leading zeros (0 itself is written 0), and, after a
    space, how many of them are 1.
    """
    digits = f"{read.number():b}"
    return [[digits, digits.count("1")]]

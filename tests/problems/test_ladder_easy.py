"""References of tiers 1 to 4 against second solutions that were found in another way."""

import re
from functools import cache, partial
from itertools import combinations, count, pairwise, product

import pytest

from tests.problems.second_solution import check, second

SOLUTIONS: dict = {}
second = partial(second, SOLUTIONS)


def numbers(line):
    return [int(word) for word in line.split()]


def rows(lines):
    return [numbers(line) for line in lines]


@second()
def split_seconds(lines):
    hours = minutes = 0
    seconds = int(lines[0])
    while seconds >= 3600:
        hours, seconds = hours + 1, seconds - 3600
    while seconds >= 60:
        minutes, seconds = minutes + 1, seconds - 60
    return [[hours, minutes, seconds]]


@second()
def leap_year(lines):
    leap = set(range(4, 4001, 4)) - set(range(100, 4001, 100)) | set(range(400, 4001, 400))
    return "yes" if int(lines[0]) in leap else "no"


@second()
def palindrome(lines):
    text = re.sub("[^a-z0-9]", "", lines[0].casefold())
    return "yes" if all(text[i] == text[-1 - i] for i in range(len(text) // 2)) else "no"


@second()
def caesar_cipher(lines):
    def move(c):
        first = ord("a" if c.islower() else "A")
        return chr((ord(c) - first + int(lines[0])) % 26 + first) if c.isalpha() else c

    return "".join(map(move, lines[1]))


@second()
def triangle_kind(lines):
    a, b, c = numbers(lines[0])
    if not (a < b + c and b < a + c and c < a + b):
        return "impossible"
    equal = (a == b) + (b == c) + (a == c)
    return {0: "scalene", 1: "isosceles", 3: "equilateral"}[equal]


@second()
def rock_paper_scissors(lines):
    wins = ["rock scissors", "scissors paper", "paper rock"]
    first = sum(line in wins for line in lines[1:])
    draws = sum(len(set(line.split())) == 1 for line in lines[1:])
    return [[first, len(lines) - 1 - first - draws, draws]]


@second()
def password(lines):
    strong = re.fullmatch(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9]).{8,}", lines[0])
    return "strong" if strong else "weak"


@second()
def run_lengths(lines):
    return re.sub(r"(.)\1*", lambda run: f"{run[1]}{len(run[0])}", lines[0])


@second()
def savings(lines):
    coins, p, goal = numbers(lines[0])
    for years in count():
        if coins >= goal:
            return [[years, coins]]
        coins = max(coins + 1, (coins * (100 + p) - coins * p % 100) // 100)
    raise AssertionError


@second()
def second_largest(lines):
    xs = numbers(lines[1])
    return max((x for x in xs if x < max(xs)), default="none")


@second()
def carousel(lines):
    (_, turns), xs = rows(lines)
    for _ in range(turns):
        xs.insert(0, xs.pop())
    return [xs]


@second()
def most_frequent(lines):
    xs = numbers(lines[1])
    return [next([x, n] for n in range(len(xs), 0, -1) for x in sorted(xs) if xs.count(x) == n)]


@second()
def pairs_with_sum(lines):
    (_, s), xs = rows(lines)
    return sum(a + b == s for a, b in combinations(xs, 2))


@second()
def longest_streak(lines):
    xs = numbers(lines[1])
    for length in range(len(xs), 0, -1):
        for i in range(len(xs) - length + 1):
            if len(set(xs[i : i + length])) == 1:
                return [[xs[i], length]]
    raise AssertionError


@second()
def bar_chart(lines):
    heights = numbers(lines[1])
    columns = (("#" * h).rjust(max(1, *heights), ".") for h in heights)
    return ["".join(row) for row in zip(*columns, strict=True)]


@second()
def sea_view(lines):
    seeing: list[int] = []
    highest = -1
    for place, h in reversed([*enumerate(numbers(lines[1]), start=1)]):
        if h > highest:
            seeing.insert(0, place)
            highest = h
    return [len(seeing), seeing]


@second()
def prime_or_not(lines):
    def kind(n):
        return "one" if n == 1 else "prime" if re.fullmatch(r"(?!(11+)\1+$)1+", "1" * n) else "composite"

    return [kind(int(line)) if int(line) < 300 else by_division(int(line)) for line in lines[1:]]


def by_division(n):
    return "composite" if any(n % d == 0 for d in range(2, n // 2 + 1)) else "prime"


@second()
def prime_factors(lines):
    n, primes = int(lines[0]), []
    while n > 1:
        primes.append(next(d for d in count(2) if n % d == 0))
        n //= primes[-1]
    return [[p, primes.count(p)] for p in sorted(set(primes))]


@second()
def number_systems(lines):
    n, base = numbers(lines[0])
    length = next(k for k in count(1) if base**k > n)
    return "".join("0123456789ABCDEF"[n // base**k % base] for k in range(length - 1, -1, -1))


@second()
def code_breaker(lines):
    answers = []
    for guess in lines[2:]:
        code, left = list(lines[0]), []
        for i, digit in enumerate(guess):
            if code[i] == digit:
                code[i] = "exact"
            else:
                left.append(digit)
        misplaced = 0
        for digit in left:
            if digit in code:
                code.remove(digit)
                misplaced += 1
        answers.append([code.count("exact"), misplaced])
    return answers


@second()
def pascal_row(lines):
    n = int(lines[0])
    subsets = [1]  # subsets of n things, counted by their size, from the quotients of neighbours
    for k in range(n):
        subsets.append(subsets[-1] * (n - k) // (k + 1))
    return [subsets]


@second()
def robot_walk(lines):
    place, step = 0j, 1j
    for command in lines[0]:
        step *= {"L": 1j, "R": -1j}.get(command, 1)
        place += step * {"F": 1, "B": -1}.get(command, 0)
    return [[int(place.real), int(place.imag), {1j: "N", 1: "E", -1j: "S", -1: "W"}[step]]]


@second()
def game_of_life(lines):
    (h, w, k), board = numbers(lines[0]), lines[1:]
    for _ in range(k):
        wide = ["." * (w + 2), *(f".{row}." for row in board), "." * (w + 2)]

        def after(i, j, wide=wide):
            around = "".join(row[j : j + 3] for row in wide[i : i + 3])  # the cell itself is in the middle
            return "#" if around.count("#") == 3 or (around.count("#") == 4 and around[4] == "#") else "."

        board = ["".join(after(i, j) for j in range(w)) for i in range(h)]
    return board


@second()
def spiral(lines):
    table = {(i, j): x for i, row in enumerate(rows(lines[1:])) for j, x in enumerate(row)}
    walk, (i, j), (di, dj) = [], (0, 0), (0, 1)
    while table:
        walk.append(table.pop((i, j)))
        if (i + di, j + dj) not in table:
            di, dj = dj, -di
        i, j = i + di, j + dj
    return [walk]


@second()
def counting_out(lines):
    n, k = numbers(lines[0])
    circle, order = [*range(1, n + 1)], []
    while circle:
        for _ in range(k - 1):
            circle.append(circle.pop(0))
        order.append(circle.pop(0))
    return [order]


@second()
def tic_tac_toe(lines):
    moves = rows(lines[1:])
    for k in range(5, len(moves) + 1):
        for (r1, c1), (r2, c2), (r3, c3) in combinations(moves[(k - 1) % 2 : k : 2], 3):
            if (c2 - c1) * (r3 - r1) == (c3 - c1) * (r2 - r1):  # on one straight line
                return f"{'first' if k % 2 else 'second'} {k}"
    return "nobody"


@second()
def roman_numerals(lines):
    places = [("I", "V", "X"), ("X", "L", "C"), ("C", "D", "M"), ("M", "", "")]
    shapes = ["", "a", "aa", "aaa", "ab", "b", "ba", "baa", "baaa", "ac"]

    def numeral(n):
        return "".join(
            shapes[n // 10**k % 10].translate(str.maketrans(dict(zip("abc", places[k], strict=True))))
            for k in (3, 2, 1, 0)
        )

    return [numeral(int(line)) for line in lines[1:]]


@second()
def round_robin(lines):
    (_, t), queue, done = numbers(lines[0]), [line.split() for line in lines[1:]], []
    left = {name: int(needs) for name, needs in queue}
    names, now, since = list(left), 0, 0
    while names:
        now, since = now + 1, since + 1
        left[names[0]] -= 1
        if not left[names[0]]:
            done.append([names.pop(0), now])
            since = 0
        elif since == t:
            names.append(names.pop(0))
            since = 0
    return done


@second()
def brackets(lines):
    for place in range(1, len(lines[0]) + 1):
        if re.search(r"[)\]}>]", without_pairs(lines[0][:place])):
            return f"mistake {place}"
    return f"mistake {len(lines[0]) + 1}" if without_pairs(lines[0]) else "correct"


def without_pairs(text):
    while (shorter := re.sub(r"\(\)|\[\]|\{\}|<>", "", text)) != text:
        text = shorter
    return text


@second()
def postfix_calculator(lines):
    words = lines[1].split()

    def value():
        word = words.pop()
        if word not in ("+", "-", "*"):
            return int(word)
        right, left = value(), value()
        return left + right if word == "+" else left - right if word == "-" else left * right

    return value()


@second()
def warmer_day(lines):
    xs = numbers(lines[1])
    return [[next((j - i for j in range(i, len(xs)) if xs[j] > xs[i]), 0) for i in range(len(xs))]]


@second()
def change(lines):
    values = (200, 100, 50, 20, 10, 5, 2, 1)
    pieces = [0]
    for amount in range(1, int(lines[0]) + 1):
        pieces.append(1 + min(pieces[amount - v] for v in values if v <= amount))
    amount, paid = int(lines[0]), []
    while amount:
        paid.append(next(v for v in values if v <= amount and pieces[amount - v] == pieces[amount] - 1))
        amount -= paid[-1]
    return [f"{paid.count(v)} x {v}" for v in values if v in paid]


@second(growth=0.06, longest=60)
def one_room(lines):
    requests = rows(lines[1:])
    for size in range(len(requests), 0, -1):
        for chosen in combinations(sorted(requests), size):
            if all(a[1] <= b[0] for a, b in pairwise(chosen)):
                return size
    return 0


@second()
def painted_fence(lines):
    painted = {x for left, right in rows(lines[1:]) for x in range(2 * left, 2 * right + 1)}  # half steps
    lefts = sorted(x for x in painted if x - 1 not in painted)
    rights = sorted(x for x in painted if x + 1 not in painted)
    return [len(lefts), *([a // 2, b // 2] for a, b in zip(lefts, rights, strict=True))]


@second(growth=0.06, longest=30)
def boats(lines):
    (n, w), weights = rows(lines)

    @cache
    def fewest(waiting):
        if not waiting:
            return 0
        first, rest = waiting[0], waiting[1:]
        pairs = (rest[:k] + rest[k + 1 :] for k in range(len(rest)) if weights[first] + weights[rest[k]] <= w)
        return 1 + min(map(fewest, (rest, *pairs)))

    return fewest(tuple(range(n)))


@second()
def versions(lines):
    return sorted(lines[1:], key=lambda text: ".".join(part.zfill(3) for part in text.split(".")))


@second(growth=0.12, longest=40)
def refuelling(lines):
    (_, r, d), stations = rows(lines)
    for stops in range(len(stations) + 1):
        for chosen in combinations(stations, stops):
            if all(b - a <= r for a, b in pairwise([0, *chosen, d])):
                return stops
    return "impossible"


@second()
def checkerboard(lines):
    h, w = numbers(lines[0])
    squares = {(i, j): "#" if i % 2 == j % 2 else "." for i, j in product(range(h), range(w))}
    return ["".join(squares[i, j] for j in range(w)) for i in range(h)]


@pytest.mark.parametrize("name", SOLUTIONS)
def test_reference(name):
    check(name, SOLUTIONS[name])

"""Tier 3: simple number theory, and counting letters and digits."""

from __future__ import annotations

import math
from collections import Counter

from problems.ladder.task import LOWER, tier

problem = tier(3)
PRIMES = [n for n in range(2, 10001) if all(n % d for d in range(2, math.isqrt(n) + 1))]


@problem(
    cases=[[5, 1, 2, 9, 17, 91], [1, 1], [3, 9973, 9999, 10000], [4, 4, 25, 49, 121], [2, 3, 2]],
    random=lambda rng: [
        n := rng.size(2, 50),
        *(rng.choice([rng.randint(1, 10000), *rng.sample(PRIMES, 1)]) for _ in range(n)),
    ],
)
def prime_or_not(read):
    """A prime is a whole number above 1 that only 1 and the number itself divide without remainder. Say of
    several numbers whether they are prime.

    Input: the first line has the number of questions q (1 to 50). Each of the next q lines has a whole number
    from 1 to 10000.

    Output: q lines, each with the word prime or the word composite; for 1, which is neither, the word one.
    """
    known = set(PRIMES)
    return ["one" if n == 1 else "prime" if n in known else "composite" for (n,) in read.rows(read.number())]


@problem(
    cases=[[[12, 18]], [[1, 1]], [[7, 13]], [[30000, 29999]], [[1000, 10]]],
    random=lambda rng: [[(k := rng.randint(1, 100)) * rng.randint(1, 300), k * rng.randint(1, 300)]],
)
def gears(read):
    """Two gears with a and b teeth mesh. Print the greatest common divisor of a and b, and their least common
    multiple: the number of teeth that pass until both gears are in their first position again.

    Input: one line with the whole numbers a and b, separated by a space (each from 1 to 30000).

    Output: one line with the greatest common divisor and the least common multiple, separated by a space.
    """
    a, b = read.numbers()
    return [[math.gcd(a, b), math.lcm(a, b)]]


@problem(
    cases=["Hello, World!", "z", "aAaA bB", "the 7 dwarfs"],
    random=lambda rng: " ".join(rng.word(1, 9, LOWER[: rng.randint(3, 26)] + "AEX7.") for _ in range(rng.size(1, 18))),
)
def letter_counts(read):
    """How often does each letter occur in a line of text? Large and small letters count as the same,
    everything else is ignored.

    Input: one line with 1 to 200 characters, at least one of them a letter.

    Output: one line for each letter that occurs, in alphabetical order: the small letter, a space, and its
    count.
    """
    return sorted(Counter(c for c in read.line().lower() if c.isalpha()).items())


@problem(cases=[20, 2, 3, 4, 10000], random=lambda rng: rng.randint(5, 9999))
def primes_up_to(read):
    """How many primes are there from 2 to n, and which is the largest of them? A prime is a whole number
    above 1 that only 1 and the number itself divide without remainder.

    Input: one line with the whole number n (2 to 10000).

    Output: one line with the number of primes and the largest prime, separated by a space.
    """
    n = read.number()
    found = [p for p in PRIMES if p <= n]
    return [[len(found), found[-1]]]


def two_words(rng):
    first = rng.word(1, 30, "abcde")
    second = "".join(rng.sample(first, len(first)))
    return [first, rng.choice([second, second[1:] + rng.choice("ab"), second + second[0]])]


@problem(
    cases=[
        ["listen", "silent"],
        ["aab", "abb"],
        ["a", "a"],
        ["abc", "abcd"],
        ["abca", "bcab"],
        ["dormitory", "dirtyroom"],
    ],
    random=two_words,
    examples=2,
)
def anagrams(read):
    """Two words are anagrams of each other if the same letters, each equally often, make up both. Say whether
    two words are anagrams.

    Input: two lines, each with a word of 1 to 50 small letters.

    Output: one line with the word yes or the word no.
    """
    first, second = read.lines(2)
    return "yes" if sorted(first) == sorted(second) else "no"


@problem(
    cases=[360, 2, 97, 65536, 999958, 999983, 994009],
    random=lambda rng: math.prod(rng.sample([2, 2, 2, 3, 3, 5, 7, 11, 13, 17, 101], rng.randint(2, 5))),
)
def prime_factors(read):
    """Write a whole number as a product of primes.

    Input: one line with a whole number from 2 to 1000000.

    Output: one line for each prime that divides the number, in increasing order: the prime, a space, and how
    many times it occurs in the product.
    """
    n, p = read.number(), 2
    factors: Counter[int] = Counter()
    while n > 1:
        if p * p > n:
            p = n
        if n % p:
            p += 1
        else:
            n, factors[p] = n // p, factors[p] + 1
    return [*factors.items()]


@problem(
    cases=[[[255, 16]], [[0, 2]], [[7, 8]], [[1000000000, 2]], [[35, 12]], [[81, 3]]],
    random=lambda rng: [[rng.randint(1, 10**9), rng.randint(3, 16)]],
)
def number_systems(read):
    """Write a whole number in the number system with base b. The digits above 9 are the capital letters A, B,
    C, D, E and F.

    Input: one line with a whole number (0 to 1000000000) and the base b (2 to 16), separated by a space.

    Output: one line with the digits, without leading zeros; 0 itself is written 0.
    """
    n, b = read.numbers()
    digits = ""
    while n or not digits:
        n, digit = divmod(n, b)
        digits = "0123456789ABCDEF"[digit] + digits
    return digits


@problem(
    cases=[
        ["4271", 3, "1234", "4271", "5555"],
        ["00", 2, "01", "10"],
        ["7", 1, "3"],
        ["11223", 3, "22113", "11111", "33221"],
    ],
    random=lambda rng: [
        rng.word(n := rng.randint(3, 6), n, "01234"),
        m := rng.size(2, 20),
        *rng.grid(m, n, "01234"),
    ],
)
def code_breaker(read):
    """In a game one player thinks of a code of digits and another guesses it. The answer to a guess has two
    numbers: exact, how many places have the right digit; and misplaced, how many more of the guess's digits
    would be right if its other digits could be rearranged (a digit of the code and a digit of the guess are
    never counted twice). Answer some guesses.

    Input: the first line has the code, 1 to 6 digits without spaces; the second the number of guesses g (1 to
    20). Each of the next g lines has a guess with as many digits as the code.

    Output: g lines, each with the numbers exact and misplaced for a guess, separated by a space.
    """
    code = read.line()
    answers = []
    for guess in read.lines(read.number()):
        exact = sum(a == b for a, b in zip(code, guess, strict=True))
        answers.append([exact, (Counter(code) & Counter(guess)).total() - exact])
    return answers


def parcel_numbers(rng):
    for _ in range(rng.size(2, 30)):
        digits = rng.word(9, 9, "0123456789")
        right = sum(i * int(d) for i, d in enumerate(digits, start=1)) % 11
        yield digits + rng.choice(["0123456789X"[right], rng.choice("0123456789X")])


@problem(
    cases=[
        [4, "0000000010", "1234567890", "123456789X", "5072819360"],
        [1, "0000000000"],
        [2, "100000000X", "1000000001"],
        [3, "999999999X", "9999999999", "900000000X"],
    ],
    random=lambda rng: [len(numbers := [*parcel_numbers(rng)]), *numbers],
)
def check_digit(read):
    """A parcel number has nine digits and a check character. The first digit is multiplied by 1, the second
    by 2, and so on, the ninth by 9, and the products are added up. The check character is the remainder of
    the sum divided by 11, written as a digit, or as the letter X if it is 10. Find the wrong parcel numbers.

    Input: the first line has the number of parcels n (1 to 30). Each of the next n lines has a parcel number:
    nine digits and then a digit or the letter X, without spaces.

    Output: n lines, each with the word ok if the check character is right; otherwise the word wrong, a space,
    and the right check character.
    """
    lines = []
    for number in read.lines(read.number()):
        right = "0123456789X"[sum(i * int(d) for i, d in enumerate(number[:9], start=1)) % 11]
        lines.append("ok" if number[9] == right else f"wrong {right}")
    return lines


@problem(cases=[4, 0, 1, 2, 30], random=lambda rng: rng.randint(3, 29))
def pascal_row(read):
    """Pascal's triangle has the single number 1 in its row 0. Each later row begins and ends with 1, and
    every number between them is the sum of the two numbers next to each other above it. Print row n.

    Input: one line with the whole number n (0 to 30).

    Output: one line with the n + 1 numbers of the row, separated by single spaces.
    """
    row = [1]
    for _ in range(read.number()):
        row = [a + b for a, b in zip([0, *row], [*row, 0], strict=True)]
    return [row]

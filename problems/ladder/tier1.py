"""Tier 1: read a little, compute a little, print it."""

from __future__ import annotations

import math

from problems.ladder.task import fixed, tier

problem = tier(1)


@problem(
    cases=[[[3, 4]], [[0, 0]], [[-5, 5]], [[1000, -1]], [[-1000, -1000]]],
    random=lambda rng: [rng.ints(2, -1000, 1000)],
)
def sum_of_two(read):
    """Print the sum of two whole numbers.

    Input: one line with two whole numbers a and b, separated by a space (-1000 <= a, b <= 1000).

    Output: one line with the sum.
    """
    a, b = read.numbers()
    return a + b


@problem(cases=[[[5, 3]], [[1, 1]], [[1000, 1000]], [[1, 999]]], random=lambda rng: [rng.ints(2, 1, 1000)])
def rectangle(read):
    """A rectangle has sides of whole lengths. Find its area and the length of its outline.

    Input: one line with the two side lengths, separated by a space (each from 1 to 1000).

    Output: one line with the area, a space, and the length of the outline.
    """
    a, b = read.numbers()
    return [[a * b, 2 * (a + b)]]


NAMES = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Adele", "Ken", "Dennis", "Radia", "Tony"]


@problem(cases=["Ada", "Bo", "X", "Maria Luisa"], random=lambda rng: rng.choice(NAMES) + rng.word(0, 3))
def greeting(read):
    """Greet somebody by name, exactly as in the example.

    Input: one line with the name: letters, and spaces between them, at most 50 characters.

    Output: one line with the word Hello, a comma, a space, the name and an exclamation mark.
    """
    return f"Hello, {read.line()}!"


@problem(
    cases=[[37, 5], [-37, 5], [0, 0], [10, -10], [-999999999, 1000000000]],
    random=lambda rng: [rng.randint(-(10**9), 10**9), rng.randint(-1000, 1000)],
)
def last_digits(read):
    """Print the last decimal digit of each of two whole numbers. The sign does not matter: the last digit of
    -37 is 7.

    Input: two lines, each with one whole number from -1000000000 to 1000000000.

    Output: one line with the two digits, separated by a space, in the order of the input.
    """
    return [[abs(read.number()) % 10, abs(read.number()) % 10]]


@problem(
    cases=[[10, 3], [3, 10], [7, 7], [-4, 6], [-1000000, 1000000]],
    random=lambda rng: rng.ints(2, -1000000, 1000000),
)
def distance_on_a_line(read):
    """Two stones lie on a number line. How far apart are they?

    Input: two lines, each with one whole number, the place of a stone (from -1000000 to 1000000).

    Output: one line with the distance, which is never negative.
    """
    return abs(read.number() - read.number())


@problem(cases=[3725, 0, 59, 60, 3600, 86399], random=lambda rng: rng.randint(0, 10**6))
def split_seconds(read):
    """Split a duration in seconds into hours, minutes and seconds, with fewer than 60 minutes and 60 seconds.

    Input: one line with the duration in seconds, a whole number from 0 to 1000000.

    Output: one line with the hours, the minutes and the seconds, separated by single spaces, without leading
    zeros.
    """
    s = read.number()
    return [[s // 3600, s // 60 % 60, s % 60]]


@problem(cases=[25, 0, -40, 100, -273, 37], random=lambda rng: rng.randint(-273, 5000))
def fahrenheit(read):
    """Convert a temperature from degrees Celsius to degrees Fahrenheit: multiply by 9, divide by 5, add 32.

    Input: one line with the temperature in degrees Celsius, a whole number from -273 to 5000.

    Output: one line with the temperature in degrees Fahrenheit, with exactly 4 digits after the decimal
    point.
    """
    return fixed((read.number() * 9 + 160) / 5)


@problem(
    cases=[["first line", "second line"], ["a", "b"], ["same", "same"], ["10 20", "x y z"]],
    random=lambda rng: [" ".join(rng.word(1, 8) for _ in range(rng.randint(1, 6))) for _ in range(2)],
)
def two_lines_swapped(read):
    """Read two lines of text and print them in the opposite order.

    Input: two lines, each with 1 to 100 characters: letters, digits and spaces between them.

    Output: two lines: first the second line of the input, then the first.
    """
    return read.lines(2)[::-1]


@problem(
    cases=[[[4, 9, 2]], [[9, 4, 2]], [[1, 2, 3]], [[5, 5, 5]], [[-3, -1, -2]], [[0, -7, 0]]],
    random=lambda rng: [rng.ints(3, -1000, 1000)],
)
def largest_of_three(read):
    """Print the largest of three whole numbers.

    Input: one line with three whole numbers, separated by single spaces (each from -1000 to 1000).

    Output: one line with the largest of them.
    """
    return max(read.numbers())


@problem(cases=[7, 10, 0, -3, -8, 1], random=lambda rng: rng.randint(-(10**6), 10**6), examples=2)
def even_or_odd(read):
    """Say whether a whole number is even or odd. Zero is even, and the sign makes no difference.

    Input: one line with a whole number from -1000000 to 1000000.

    Output: one line with the word even or the word odd.
    """
    return "odd" if read.number() % 2 else "even"


@problem(
    cases=[[1, 2, 4], [0, 0, 0], [5, 5, 5], [-1, -1, -2], [1000, 1000, 999]],
    random=lambda rng: rng.ints(3, -1000, 1000),
)
def mean_of_three(read):
    """Compute the mean of three whole numbers: their sum divided by three.

    Input: three lines, each with one whole number from -1000 to 1000.

    Output: one line with the mean, with exactly 4 digits after the decimal point.
    """
    return fixed((read.number() + read.number() + read.number()) / 3)


@problem(cases=[2024, 2023, 1900, 2000, 1600, 2100, 4], random=lambda rng: rng.randint(1, 4000), examples=2)
def leap_year(read):
    """A year is a leap year if its number is divisible by 4; but if it is also divisible by 100, it is one
    only if it is divisible by 400 as well. Say whether a given year is a leap year.

    Input: one line with the year, a whole number from 1 to 4000.

    Output: one line with the word yes or the word no.
    """
    year = read.number()
    return "yes" if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else "no"


@problem(
    cases=[[17, 5], [0, 3], [4, 5], [20, 4], [1000000, 1]],
    random=lambda rng: [rng.randint(0, 10**6), rng.randint(1, 1000)],
)
def share_apples(read):
    """Some children share apples fairly: each child gets the same whole number of apples, as many as
    possible. How many does each child get, and how many apples are left over?

    Input: two lines. The first has the number of apples (0 to 1000000), the second the number of children (1
    to 1000).

    Output: two lines. The first has the number of apples for each child, the second the number left over.
    """
    return list(divmod(read.number(), read.number()))


@problem(
    cases=[["ha", 3], ["x", 1], ["abc", 100], ["zz", 2]],
    random=lambda rng: [rng.word(1, 10), rng.size(1, 100)],
)
def repeat_word(read):
    """Print a word several times in a row, on one line, with nothing in between.

    Input: two lines. The first has the word (1 to 10 lower-case letters), the second the number of times (1
    to 100).

    Output: one line with the repeated word.
    """
    return read.line() * read.number()


@problem(cases=[-12, 0, 8, 1, -1, 1000000], random=lambda rng: rng.randint(-(10**6), 10**6), examples=2)
def sign(read):
    """Say whether a whole number is positive, negative or zero.

    Input: one line with a whole number from -1000000 to 1000000.

    Output: one line with the word positive, negative or zero.
    """
    x = read.number()
    return "positive" if x > 0 else "negative" if x < 0 else "zero"


@problem(
    cases=["Ada Maria Byron", "x y z", "Jean Luc P", "ann Bob cy"],
    random=lambda rng: [[rng.word(1, 8) if rng.random() < 0.4 else rng.choice(NAMES) for _ in range(3)]],
)
def initials(read):
    """Somebody has a first, a middle and a last name. Print the initials: the first letter of each name, as a
    capital letter, with a full stop after each.

    Input: one line with three names, separated by single spaces. A name has 1 to 12 letters, large or small.

    Output: one line with the three initials and their full stops, without spaces.
    """
    return "".join(name[0].upper() + "." for name in read.words())


@problem(cases=[5, 1, 2, 100], random=lambda rng: rng.randint(3, 99))
def countdown(read):
    """Count down from n to 1, then print the word liftoff.

    Input: one line with the whole number n (1 to 100).

    Output: n + 1 lines: the numbers n, n - 1, and so on down to 1, one on each line, then the word liftoff.
    """
    return [*range(read.number(), 0, -1), "liftoff"]


@problem(
    cases=["the cat sat", "x", "a b", "spaces   count   too", "Hi, there! (1+2=3)"],
    random=lambda rng: " ".join(rng.word(1, 9) for _ in range(rng.size(1, 15))),
)
def line_length(read):
    """Count the characters of a line of text. Spaces, digits and punctuation count like any others.

    Input: one line with 1 to 200 characters. It neither begins nor ends with a space.

    Output: one line with the number of characters.
    """
    return len(read.line())


@problem(
    cases=["Stop right there", "a", "ALREADY LOUD", "mixed Case 123, ok?"],
    random=lambda rng: " ".join(rng.word(1, 8, "abcdefgXYZmnoP0!") for _ in range(rng.size(1, 15))),
)
def shout(read):
    """Print a line of text with every small letter turned into the capital letter. Everything else stays as
    it is.

    Input: one line with 1 to 200 characters: letters, digits, punctuation and spaces between words.

    Output: one line with the text in capital letters.
    """
    return read.line().upper()


@problem(
    cases=[[[0, 0], [3, 4]], [[5, 5], [5, 5]], [[1, 2], [2, 3]], [[-1, -1], [1, 1]]],
    random=lambda rng: [rng.ints(2, -1000, 1000), rng.ints(2, -1000, 1000)],
)
def distance_in_the_plane(read):
    """How far apart are two points of the plane? The distance is the square root of dx * dx + dy * dy, where
    dx and dy are the differences of the coordinates.

    Input: two lines, one for each point: its coordinates x and y, two whole numbers separated by a space
    (from -1000 to 1000).

    Output: one line with the distance, with exactly 4 digits after the decimal point.
    """
    return fixed(math.dist(read.numbers(), read.numbers()))

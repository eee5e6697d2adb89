"""The kinds of starter problems: how each is told, what its input looks like, and the function that solves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

WORDS = """apple beach cloud dance eagle field grape house island jungle kettle lemon market night ocean pearl queen
river stone tiger uncle violin water yellow zebra bread chair dream engine forest garden honey iron jacket king lamp
moon nest orange paper rain silver train umbrella valley window""".split()  # noqa: SIM905


@dataclass(frozen=True)
class Kind:
    """One task: how it is told, what its input looks like, and the function that solves it."""

    name: str
    solve: Callable[[str], str]  # the reference solution: the input's text -> the answer, without the last newline
    shape: Shape
    output_format: str
    train: tuple[str, ...]  # wordings of the statement
    heldout: tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """What a program reads: in words, and how to draw one."""

    name: str
    input_format: str
    draw: Callable[[Random], str]


def integers(text: str) -> list[int]:
    return [int(token) for token in text.split()]


NOT_ZERO = [*range(-99, 0), *range(1, 100)]


def draw_list(random: Random) -> str:
    values = [random.randint(-50, 99) for _ in range(random.randint(3, 7))]
    return f"{len(values)}\n{' '.join(map(str, values))}"


def draw_word_or_palindrome(random: Random) -> str:
    half = "".join(random.choices("abcdelmnorstu", k=random.randint(2, 4)))
    other = half[::-1] if random.random() < 0.5 else "".join(random.choices("abcdelmnorstu", k=len(half)))
    return half + random.choice(["", random.choice("aeiou")]) + other


PAIR = Shape(
    "pair",
    "One line with two integers a and b, neither of them zero.",  # 0 times -5 is -0 in some languages
    lambda random: f"{random.choice(NOT_ZERO)} {random.choice(NOT_ZERO)}",
)
POWER = Shape(
    "pair",
    "One line with two integers a and b, neither of them negative.",
    lambda random: f"{random.randint(0, 12)} {random.randint(0, 9)}",
)
NUMBER = Shape("number", "One positive integer n.", lambda random: str(random.randint(1, 999)))
SMALL = Shape("number", "One positive integer n, at most 50.", lambda random: str(random.randint(1, 50)))
LIST = Shape("list", "The first line has an integer n. The second line has n integers.", draw_list)
LINE = Shape(
    "line",
    "One line of lower-case words with single spaces between them.",
    lambda random: " ".join(random.choices(WORDS, k=random.randint(2, 5))),
)
WORD = Shape("word", "One word of lower-case letters.", draw_word_or_palindrome)
WORD_AND_NUMBER = Shape(
    "repeat",
    "The first line has a word. The second line has an integer n.",
    lambda random: f"{random.choice(WORDS)}\n{random.randint(1, 6)}",
)

KINDS = (
    Kind(
        "sum",
        lambda text: str(sum(integers(text))),
        PAIR,
        "One integer.",
        train=(
            "Print the sum of two numbers.",
            "Read two integers and print a + b.",
            "Add the two given numbers together.",
            "Given a and b, compute what they add up to.",
            "What is the sum of the integers a and b?",
            "Two numbers are given. Output the result of adding them.",
        ),
        heldout=("Find the sum of both given integers.", "Read a and b. Add them and output the result."),
    ),
    Kind(
        "difference",
        lambda text: str(abs(integers(text)[0] - integers(text)[1])),
        PAIR,
        "One integer, never negative.",
        train=(
            "Print the absolute difference of two numbers.",
            "Read two integers and print |a - b|.",
            "How far apart are the two given numbers?",
            "Given a and b, compute the distance between them on the number line.",
            "Subtract the smaller of two integers from the larger one.",
            "Two numbers are given. Output the absolute value of their difference.",
        ),
        heldout=(
            "Find the absolute difference between both given integers.",
            "Read a and b. Output how far they are apart.",
        ),
    ),
    Kind(
        "product",
        lambda text: str(integers(text)[0] * integers(text)[1]),
        PAIR,
        "One integer.",
        train=(
            "Print the product of two numbers.",
            "Read two integers and print a * b.",
            "Multiply the two given numbers.",
            "Given a and b, compute a times b.",
            "What is the product of the integers a and b?",
            "Two numbers are given. Output the result of multiplying them.",
        ),
        heldout=("Find the product of both given integers.", "Read a and b. Multiply them and output the result."),
    ),
    Kind(
        "power",
        lambda text: str(integers(text)[0] ** integers(text)[1]),
        POWER,
        "One integer.",
        train=(
            "Print a to the power of b.",
            "Read two integers and raise the first to the power of the second.",
            "Raise a to the b-th power.",
            "Given a and b, compute the power with base a and exponent b.",
            "What is a raised to the exponent b?",
            "Two numbers are given, a base and an exponent. Output the power.",
        ),
        heldout=(
            "Find the power whose base is a and whose exponent is b.",
            "Read a and b. Raise a to the power b and output the result.",
        ),
    ),
    Kind(
        "parity",
        lambda text: "odd" if integers(text)[0] % 2 else "even",
        NUMBER,
        "The word even or the word odd.",
        train=(
            "Print whether a number is even or odd.",
            "Read an integer and print even if it is divisible by two, else odd.",
            "Tell if n is even or odd.",
            "Given n, decide between even and odd.",
            "Is the given integer even or odd?",
            "A number is given. Output its parity.",
        ),
        heldout=("Find out if the given integer is odd or even.", "Read n. Output even or odd, its parity."),
    ),
    Kind(
        "triangular",
        lambda text: str(integers(text)[0] * (integers(text)[0] + 1) // 2),
        SMALL,
        "One integer.",
        train=(
            "Print the n-th triangular number.",
            "Read an integer n and print 1 + 2 + ... + n.",
            "Add up all whole numbers from 1 to n.",
            "Given n, compute the sum of the first n positive integers.",
            "What is the sum of the integers from 1 up to n?",
            "A number n is given. Output the triangular number with that index.",
        ),
        heldout=(
            "Find the sum of all the integers from 1 to n.",
            "Read n. Output the n-th number of the triangular sequence.",
        ),
    ),
    Kind(
        "digits",
        lambda text: str(sum(map(int, text.strip()))),
        NUMBER,
        "One integer.",
        train=(
            "Print the sum of the digits of a number.",
            "Read an integer and add up its decimal digits.",
            "Add together the digits of n.",
            "Given n, compute its digit sum.",
            "What do the digits of the given integer add up to?",
            "A number is given. Output the total of its digits.",
        ),
        heldout=("Find the digit sum of the given integer.", "Read n. Add all of its digits and output the result."),
    ),
    Kind(
        "countdown",
        lambda text: "\n".join(str(n) for n in range(integers(text)[0], 0, -1)),
        SMALL,
        "n lines with one integer each.",
        train=(
            "Print the numbers from n down to 1.",
            "Read an integer n and count down from it to 1.",
            "Count down from n to 1, one number a line.",
            "Given n, list the integers n, n - 1, ..., 1.",
            "Write the countdown that starts at n and ends at 1.",
            "A number n is given. Output every integer from n to 1 in falling order.",
        ),
        heldout=("List all integers from n down to 1.", "Read n. Output the countdown from n to 1."),
    ),
    Kind(
        "maximum",
        lambda text: str(max(integers(text)[1:])),
        LIST,
        "One integer.",
        train=(
            "Print the maximum of a list of numbers.",
            "Read n integers and print the largest one.",
            "Find the biggest of the given numbers.",
            "Given a list, compute its maximum.",
            "Which of the integers is the greatest?",
            "A list of numbers is given. Output the largest value in it.",
        ),
        heldout=("Find the largest of all given integers.", "Read a list. Output its greatest number."),
    ),
    Kind(
        "minimum",
        lambda text: str(min(integers(text)[1:])),
        LIST,
        "One integer.",
        train=(
            "Print the minimum of a list of numbers.",
            "Read n integers and print the smallest one.",
            "Find the lowest of the given numbers.",
            "Given a list, compute its minimum.",
            "Which of the integers is the smallest?",
            "A list of numbers is given. Output the least value in it.",
        ),
        heldout=("Find the smallest of all given integers.", "Read a list. Output its lowest number."),
    ),
    Kind(
        "total",
        lambda text: str(sum(integers(text)[1:])),
        LIST,
        "One integer.",
        train=(
            "Print the sum of a list of numbers.",
            "Read n integers and print their total.",
            "Add up all of the given numbers.",
            "Given a list, compute the sum of its elements.",
            "What do the n integers add up to?",
            "A list of numbers is given. Output the total of all values in it.",
        ),
        heldout=("Find the sum of all given integers.", "Read a list. Add up its numbers and output the total."),
    ),
    Kind(
        "evens",
        lambda text: str(sum(x % 2 == 0 for x in integers(text)[1:])),
        LIST,
        "One integer.",
        train=(
            "Print how many numbers of a list are even.",
            "Read n integers and count the even ones.",
            "Count the even values among the given numbers.",
            "Given a list, compute how many of its elements are divisible by two.",
            "How many of the integers are even?",
            "A list of numbers is given. Output the count of even values in it.",
        ),
        heldout=("Find how many of all given integers are even.", "Read a list. Count its even numbers."),
    ),
    Kind(
        "sort",
        lambda text: "\n".join(map(str, sorted(integers(text)[1:]))),
        LIST,
        "n lines with one integer each.",
        train=(
            "Print a list of numbers in ascending order.",
            "Read n integers and sort them from the smallest to the largest.",
            "Sort the given numbers in rising order.",
            "Given a list, put its elements in ascending order.",
            "Write the integers in sorted order, smallest first.",
            "A list of numbers is given. Output its values sorted.",
        ),
        heldout=("Put all given integers in rising order.", "Read a list. Sort it and output the numbers."),
    ),
    Kind(
        "vowels",
        lambda text: str(sum(character in "aeiou" for character in text)),
        LINE,
        "One integer.",
        train=(
            "Print the number of vowels in a line of text.",
            "Read a line and count its vowels.",
            "Count the letters a, e, i, o and u in the given text.",
            "Given a line, compute how many of its letters are vowels.",
            "How many vowels does the line have?",
            "A text is given. Output the count of vowels in it.",
        ),
        heldout=("Find how many vowels the given text has.", "Read a line. Output the number of its vowels."),
    ),
    Kind(
        "words",
        lambda text: str(len(text.split())),
        LINE,
        "One integer.",
        train=(
            "Print the number of words in a line of text.",
            "Read a line and count its words.",
            "Count the words of the given text.",
            "Given a line, compute how many words are in it.",
            "How many words does the line have?",
            "A text is given. Output the count of words in it.",
        ),
        heldout=("Find how many words the given text has.", "Read a line. Output the number of its words."),
    ),
    Kind(
        "length",
        lambda text: str(len(text.rstrip("\n"))),
        LINE,
        "One integer.",
        train=(
            "Print the length of a line of text.",
            "Read a line and count its characters, spaces too.",
            "Count all characters of the given text.",
            "Given a line, compute its length.",
            "How long is the line, in characters?",
            "A text is given. Output the number of characters in it.",
        ),
        heldout=("Find how many characters the given text has.", "Read a line. Output how long it is."),
    ),
    Kind(
        "reverse",
        lambda text: text.rstrip("\n")[::-1],
        LINE,
        "One line.",
        train=(
            "Print a line of text backwards.",
            "Read a line and reverse it.",
            "Reverse the characters of the given text.",
            "Given a line, write its characters in reverse order.",
            "What is the line when read from right to left?",
            "A text is given. Output it backwards.",
        ),
        heldout=("Write the given text in reverse.", "Read a line. Output it from right to left."),
    ),
    Kind(
        "upper",
        lambda text: text.rstrip("\n").upper(),
        LINE,
        "One line.",
        train=(
            "Print a line of text in upper case.",
            "Read a line and convert it to capital letters.",
            "Change every letter of the given text to upper case.",
            "Given a line, write it in capitals.",
            "What is the line in capital letters?",
            "A text is given. Output it in upper case.",
        ),
        heldout=("Write the given text in capital letters.", "Read a line. Convert it to upper case."),
    ),
    Kind(
        "palindrome",
        lambda text: "yes" if text.strip() == text.strip()[::-1] else "no",
        WORD,
        "The word yes or the word no.",
        train=(
            "Print whether a word is a palindrome.",
            "Read a word and print yes if it is the same backwards, else no.",
            "Tell if the word is a palindrome.",
            "Given a word, decide if it equals its own reverse.",
            "Does the word read the same from both ends?",
            "A word is given. Output yes if it is a palindrome and no if not.",
        ),
        heldout=("Find out if the given word is a palindrome.", "Read a word. Is it the same in reverse?"),
    ),
    Kind(
        "repeat",
        lambda text: text.split()[0] * int(text.split()[1]),
        WORD_AND_NUMBER,
        "One line.",
        train=(
            "Print a word n times in a row.",
            "Read a word and an integer n and repeat the word n times.",
            "Repeat the given word n times, with nothing between.",
            "Given a word and n, write n copies of the word on one line.",
            "What is the word when it is repeated n times?",
            "A word and a number are given. Output the word that many times, without spaces.",
        ),
        heldout=("Write n copies of the given word.", "Read a word and n. Output the word repeated n times."),
    ),
)

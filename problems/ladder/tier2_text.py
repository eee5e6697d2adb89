"""Tier 2: strings looked at letter by letter."""

from __future__ import annotations

from itertools import groupby

from problems.ladder.task import LOWER, tier

problem = tier(2)


@problem(
    cases=["The Quick Brown Fox", "xyz", "AEIOU aeiou", "b", "queue up, you two!"],
    random=lambda rng: " ".join(rng.word(1, 9, LOWER + "AEIOU") for _ in range(rng.size(1, 18))),
)
def count_vowels(read):
    """Count the vowels of a line of text: the letters a, e, i, o and u, large or small.

    Input: one line with 1 to 200 characters.

    Output: one line with the number of vowels.
    """
    return sum(c in "aeiou" for c in read.line().lower())


@problem(
    cases=["stressed", "a", "ab", "Able was I, 1 and 2", "level"],
    random=lambda rng: rng.word(1, 1) + rng.word(2, rng.size(4, 198), "abc XYZ019") + rng.word(1, 1),
)
def backwards(read):
    """Print a line of text backwards.

    Input: one line with 1 to 200 characters. It neither begins nor ends with a space.

    Output: one line with the same characters in the opposite order.
    """
    return read.line()[::-1]


def mirrored(rng):
    half = rng.word(1, 30, "abABc1, ")
    text = half + rng.choice(["", "x"]) + half[::-1].swapcase()
    return "Z" + (text if rng.random() < 0.6 else text + rng.choice("pq7")) + "z"


@problem(
    cases=[
        "Never odd or even!",
        "Almost odd",
        "x",
        "Almost, tsomla?",
        "ab",
        "No lemon, no melon",
        "1 2 1",
        "1 2 3",
    ],
    random=mirrored,
    examples=2,
)
def palindrome(read):
    """A text is a palindrome if its letters and digits read the same forwards and backwards. Everything that
    is neither a letter nor a digit is ignored, and large and small letters count as the same.

    Input: one line with 1 to 200 characters, at least one of them a letter or a digit.

    Output: one line with the word yes if the text is a palindrome, otherwise the word no.
    """
    kept = [c for c in read.line().lower() if c.isalnum()]
    return "yes" if kept == kept[::-1] else "no"


@problem(
    cases=["one two  three", "word", "a b c d e", "well-known don't 42"],
    random=lambda rng: (" " * rng.randint(1, 3)).join(rng.word(1, 9) for _ in range(rng.size(1, 15))),
)
def count_words(read):
    """Count the words of a line of text. A word is a stretch of characters without spaces; there may be
    several spaces between two words.

    Input: one line with 1 to 200 characters. It neither begins nor ends with a space.

    Output: one line with the number of words.
    """
    return len(read.words())


@problem(
    cases=[[3, "Hello, xyz!"], [0, "same"], [25, "Bad Zebra"], [13, "Why 7 Cats?"]],
    random=lambda rng: [rng.randint(1, 25), " ".join(rng.word(1, 9, LOWER + "MNOXYZ!") for _ in range(9))],
)
def caesar_cipher(read):
    """Encrypt a text by moving each letter k places forward in the alphabet; after z comes a again. Large
    letters stay large and small letters small. Everything that is not a letter stays as it is.

    Input: two lines. The first has the whole number k (0 to 25), the second the text (1 to 200 characters).

    Output: one line with the encrypted text.
    """
    k, text = read.number(), read.line()
    small = LOWER[k:] + LOWER[:k]
    return text.translate(str.maketrans(LOWER + LOWER.upper(), small + small.upper()))


@problem(
    cases=["the old man and the sea", "x", "eLEPHANT gARDEN", "A b C", "don't sToP"],
    random=lambda rng: " ".join(rng.word(1, 9, "abcdeFGHIJ") for _ in range(rng.size(1, 18))),
)
def title_case(read):
    """Write a text like the title of a book: the first character of every word as a capital letter, all its
    other letters small.

    Input: one line with 1 to 200 characters: words of letters and apostrophes, separated by single spaces.
    Every word begins with a letter.

    Output: one line with the changed text.
    """
    return " ".join(word[0].upper() + word[1:].lower() for word in read.words())


@problem(
    cases=[
        "Secret7word",
        "short1A",
        "nodigitsHERE",
        "noupper4case",
        "ABCDEFGH1",
        "ABCDEFg1",
    ],
    random=lambda rng: rng.word(5, 11, rng.choice(["abcXYZ019", "abcxyz019", "abcXYZ", "abXY01_"])),
    examples=2,
)
def password(read):
    """A password is strong if it has at least 8 characters, and among them at least one small letter, one
    capital letter and one digit. Otherwise it is weak.

    Input: one line with the password: 1 to 40 letters, digits and underscores.

    Output: one line with the word strong or the word weak.
    """
    word = read.line()
    kinds = (str.islower, str.isupper, str.isdigit)
    return "strong" if len(word) >= 8 and all(any(map(kind, word)) for kind in kinds) else "weak"


@problem(
    cases=[["banana", "a", "o"], ["banana", "x", "y"], ["zzz", "z", "a"], ["a-b-c", "-", "+"]],
    random=lambda rng: [rng.word(5, 60, "abcd-+"), rng.choice("abcd-+"), rng.choice("abcdxyz")],
)
def replace_letter(read):
    """Replace every occurrence of one character in a word by another, and say how many there were.

    Input: three lines: the word (1 to 100 characters, no spaces), the character to replace, and the character
    to put in its place.

    Output: two lines: the changed word, and the number of characters replaced.
    """
    word, old, new = read.lines(3)
    return [word.replace(old, new), word.count(old)]


@problem(
    cases=["aaabccd", "a", "abc", "zzzzzzzzzzzz", "aabbaa"],
    random=lambda rng: "".join(rng.choice("abcd") * rng.randint(1, 12) for _ in range(rng.size(1, 15))),
)
def run_lengths(read):
    """Compress a word: write each run of equal letters as the letter followed by the length of the run, even
    when the length is 1.

    Input: one line with a word of 1 to 200 small letters.

    Output: one line with the compressed word.
    """
    return "".join(letter + str(len(list(run))) for letter, run in groupby(read.line()))


@problem(
    cases=[["harbours", "harvests"], ["a", "a"], ["abc", "xyz"], ["aab", "aba"]],
    random=lambda rng: [rng.word(n := rng.size(1, 100), n, "abc"), rng.word(n, n, "abc")],
)
def mutations(read):
    """Two strands of equal length are compared place by place. At how many places do they differ, and which
    is the first of them?

    Input: two lines, each with a word of 1 to 100 small letters. Both have the same length.

    Output: one line with the number of places that differ and the first such place, separated by a space.
    Places are counted from 1; if the words are equal, the first place is given as 0.
    """
    places = [i for i, (a, b) in enumerate(zip(*read.lines(2), strict=True), start=1) if a != b]
    return [[len(places), places[0] if places else 0]]


@problem(
    cases=["a bird in the hand", "x", "same size word here", "to be or not"],
    random=lambda rng: " ".join(rng.word(1, 9) for _ in range(rng.size(1, 18))),
)
def longest_word(read):
    """Find the longest word of a line of text. If several words are equally long, take the one that comes
    first.

    Input: one line with 1 to 200 characters: words of small letters, separated by single spaces.

    Output: one line with the longest word, a space, and its length.
    """
    word = max(read.words(), key=len)
    return [[word, len(word)]]

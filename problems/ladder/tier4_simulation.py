"""Tier 4: doing step by step what a text says, on grids and in circles."""

from __future__ import annotations

from collections import defaultdict

from problems.ladder.task import tier

problem = tier(4)


@problem(
    cases=["FFRFFLB", "F", "B", "LLLL", "FRFRFRFR", "RFLB"],
    random=lambda rng: rng.word(n := rng.size(5, 200), n, "FFFBLR"),
)
def robot_walk(read):
    """A robot stands at the point (0, 0) of a grid and looks north. It obeys commands: F is a step forward, B
    a step backward (without turning), L a quarter turn to the left, R a quarter turn to the right. North is
    where y grows, east is where x grows. Where does it end, and where does it look?

    Input: one line with 1 to 200 commands, the letters F, B, L and R without spaces.

    Output: one line with x, y and one of the letters N, E, S and W, separated by single spaces.
    """
    x = y = heading = 0
    for command in read.line():
        heading = (heading + {"L": 3, "R": 1}.get(command, 0)) % 4
        step = {"F": 1, "B": -1}.get(command, 0)
        x, y = x + step * (0, 1, 0, -1)[heading], y + step * (1, 0, -1, 0)[heading]
    return [[x, y, "NESW"[heading]]]


@problem(
    cases=[
        [[5, 5, 1], ".....", "..#..", "..#..", "..#..", "....."],
        [[1, 1, 1], "#"],
        [[2, 2, 50], "##", "##"],
        [[3, 4, 2], "####", "....", "#.#."],
        [[6, 6, 4], ".#....", "..#...", "###...", "......", "......", "......"],
    ],
    random=lambda rng: [
        [h := rng.randint(3, 20), w := rng.size(3, 20), rng.size(1, 20)],
        *rng.grid(h, w, "#.."),
    ],
)
def game_of_life(read):
    """Every cell of a board is alive (#) or dead (.). The neighbours of a cell are the up to 8 cells that
    touch it, also at a corner; beyond the edge of the board nothing lives. In each step all the cells change
    at once: a live cell stays alive if it has 2 or 3 live neighbours and dies otherwise; a dead cell comes
    alive if it has exactly 3 live neighbours. Print the board after k steps.

    Input: the first line has the height h, the width w (each 1 to 20) and the number of steps k (1 to 50),
    separated by single spaces. Each of the next h lines has w characters, # or . for each cell.

    Output: h lines with w characters each: the board after k steps.
    """
    h, w, k = read.numbers()
    board = read.lines(h)
    for _ in range(k):
        alive = {(i, j) for i in range(h) for j in range(w) if board[i][j] == "#"}
        count: defaultdict[tuple[int, int], int] = defaultdict(int)
        for i, j in alive:
            for a in (i - 1, i, i + 1):
                for b in (j - 1, j, j + 1):
                    count[a, b] += (a, b) != (i, j)
        board = [
            "".join("#" if count[i, j] == 3 or (count[i, j] == 2 and (i, j) in alive) else "." for j in range(w))
            for i in range(h)
        ]
    return board


@problem(
    cases=[
        [[3, 4], [1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]],
        [[1, 1], [5]],
        [[1, 3], [1, 2, 3]],
        [[3, 1], [1], [2], [3]],
    ],
    random=lambda rng: [
        [h := rng.randint(2, 15), w := rng.size(2, 15)],
        *(rng.ints(w, -99, 99) for _ in range(h)),
    ],
)
def spiral(read):
    """Walk over a table of numbers in a spiral: start at the top left, go right along the first row, down the
    last column, left along the last row, up the first column, and so on inwards, until every number has been
    visited once.

    Input: the first line has the number of rows and the number of columns, separated by a space (each 1 to
    15). Then each row follows on a line of its own: whole numbers from -99 to 99, separated by single spaces.

    Output: one line with the numbers in the order of the walk, separated by single spaces.
    """
    h, _ = read.numbers()
    rows = read.rows(h)
    walk: list[int] = []
    while rows:
        walk += rows[0]
        rows = [list(column) for column in zip(*rows[1:], strict=True)][::-1]  # the rest, turned to the left
    return [walk]


@problem(
    cases=[[[5, 2]], [[1, 1]], [[1, 9]], [[6, 1]], [[10, 100]]],
    random=lambda rng: [[rng.size(5, 100), rng.randint(2, 50)]],
)
def counting_out(read):
    """Children numbered 1 to n stand in a circle in this order and play a counting-out game. The counting
    starts with child 1 and goes around; every k-th child leaves the circle, and the counting goes on with the
    next one. In which order do they leave?

    Input: one line with n (1 to 100) and k (1 to 100), separated by a space.

    Output: one line with the numbers of the children in the order in which they leave, separated by single
    spaces.
    """
    n, k = read.numbers()
    circle, order, at = [*range(1, n + 1)], [], 0
    while circle:
        at = (at + k - 1) % len(circle)
        order.append(circle.pop(at))
    return [order]


def tic_tac_toe_moves(rng):
    cells = rng.sample([[i, j] for i in (1, 2, 3) for j in (1, 2, 3)], rng.randint(5, 9))
    return [len(cells), *cells]


@problem(
    cases=[
        [5, [1, 1], [2, 1], [1, 2], [2, 2], [1, 3]],
        [9, [1, 1], [1, 2], [1, 3], [2, 2], [2, 1], [2, 3], [3, 2], [3, 1], [3, 3]],
        [1, [2, 2]],
        [6, [1, 1], [1, 3], [3, 3], [2, 2], [1, 2], [3, 1]],
        [8, [2, 2], [1, 2], [1, 1], [2, 1], [3, 3], [3, 2], [3, 1], [1, 3]],
        [9, [1, 1], [1, 2], [2, 2], [2, 1], [1, 3], [2, 3], [3, 2], [3, 3], [3, 1]],
    ],
    random=tic_tac_toe_moves,
    examples=2,
)
def tic_tac_toe(read):
    """Two players mark cells of a board with 3 rows and 3 columns by turns. The player who first has three
    marks in a row, a column or a diagonal wins. You get all the marks in order, even those that somebody set
    after the game was won. Who won, and with which move?

    Input: the first line has the number of moves n (1 to 9). Each of the next n lines has the row and the
    column of a move, separated by a space (each from 1 to 3). No cell is marked twice, and the first player
    makes the first move.

    Output: one line with the word first or the word second, a space, and the number of the winning move
    (counted from 1); or the word nobody if no one has three in a line.
    """
    lines = [{(i, j) for j in range(3)} for i in range(3)] + [{(i, j) for i in range(3)} for j in range(3)]
    lines += [{(i, i) for i in range(3)}, {(i, 2 - i) for i in range(3)}]
    marks: tuple[set, set] = (set(), set())
    moves = read.rows(read.number())
    for number, (i, j) in enumerate(moves):
        marks[number % 2].add((i - 1, j - 1))
        if any(line <= marks[number % 2] for line in lines):
            return f"{('first', 'second')[number % 2]} {number + 1}"
    return "nobody"


ROMAN = [(1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC")]
ROMAN += [(50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]


@problem(
    cases=[[4, 4, 19, 1994, 2026], [1, 1], [3, 3999, 3888, 444], [5, 9, 40, 90, 400, 900]],
    random=lambda rng: [n := rng.size(2, 40), *rng.ints(n, 1, 3999)],
)
def roman_numerals(read):
    """Write numbers as Roman numerals. The signs M, D, C, L, X, V and I stand for 1000, 500, 100, 50, 10, 5
    and 1. Thousands, hundreds, tens and ones are written one after the other, each with its own signs,
    largest sign first and at most three equal signs in a row: 1 to 9 are I, II, III, IV, V, VI, VII, VIII and
    IX, and likewise with X, L, C for tens and C, D, M for hundreds.

    Input: the first line has the number of questions q (1 to 40). Each of the next q lines has a whole number
    from 1 to 3999.

    Output: q lines, each with the Roman numeral of a number.
    """
    numerals = []
    for (n,) in read.rows(read.number()):
        numeral = ""
        for value, signs in ROMAN:
            numeral += signs * (n // value)
            n %= value
        numerals.append(numeral)
    return numerals

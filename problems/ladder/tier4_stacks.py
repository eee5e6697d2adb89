"""Tier 4: stacks, queues and accounts."""

from __future__ import annotations

from collections import defaultdict, deque

from problems.ladder.task import tier

problem = tier(4)


@problem(
    cases=[
        [[3, 2], ["mail", 3], ["web", 1], ["disk", 5]],
        [[1, 10], ["a", 1]],
        [[2, 1], ["b", 2], ["a", 2]],
        [[3, 4], ["x", 4], ["y", 8], ["z", 4]],
    ],
    random=lambda rng: [
        [n := rng.size(2, 30), rng.randint(1, 9)],
        *([f"{rng.word(1, 5)}{i}", rng.randint(1, 40)] for i in range(n)),
    ],
)
def round_robin(read):
    """A processor has n jobs waiting in a queue. It takes the first job and works on it for at most t
    seconds. If the job needs no more, it is done; otherwise it goes to the end of the queue. Then the
    processor takes the next job, until the queue is empty. When is each job done?

    Input: the first line has n (1 to 30) and t (1 to 100), separated by a space. Each of the next n lines has
    the name of a job (1 to 8 small letters and digits) and the seconds it needs (1 to 40), separated by a
    space, in the order of the queue.

    Output: n lines, in the order in which the jobs are done: the name of the job, a space, and the seconds
    since the start.
    """
    n, t = read.numbers()
    queue = deque((name, int(needs)) for name, needs in (read.words() for _ in range(n)))
    now, done = 0, []
    while queue:
        name, needs = queue.popleft()
        now += min(t, needs)
        if needs > t:
            queue.append((name, needs - t))
        else:
            done.append([name, now])
    return done


@problem(
    cases=[
        [6, "add hello", "add xyz", "delete 2", "undo", "undo", "add p"],
        [1, "undo"],
        [3, "add abc", "delete 9", "undo"],
        [4, "add a", "undo", "undo", "undo"],
        [5, "add ab", "delete 1", "delete 5", "undo", "undo"],
        [3, "add abc", "delete 9", "add z"],
    ],
    random=lambda rng: [
        n := rng.size(5, 100),
        *(
            rng.choice([f"add {rng.word(1, 6)}", f"add {rng.word(1, 3)}", f"delete {rng.randint(1, 9)}", "undo"])
            for _ in range(n)
        ),
    ],
)
def editor(read):
    """A text editor starts with an empty text and knows three commands. The command add w puts the word w at
    the end of the text. The command delete k removes the last k characters, or everything if there are fewer.
    The command undo takes back the latest add or delete that has not been taken back yet; if there is none,
    it does nothing.

    Input: the first line has the number of commands n (1 to 100). Each of the next n lines has a command: add
    and a word of 1 to 6 small letters, or delete and a whole number from 1 to 9, or undo.

    Output: one line with the text at the end, or, if it is empty, the character - alone.
    """
    texts = [""]
    for _ in range(read.number()):
        command, *rest = read.words()
        if command == "add":
            texts.append(texts[-1] + rest[0])
        elif command == "delete":
            texts.append(texts[-1][: max(0, len(texts[-1]) - int(rest[0]))])
        elif len(texts) > 1:
            texts.pop()
    return texts[-1] or "-"


def bracket_line(rng):
    text = ""
    opened: list[str] = []
    for _ in range(rng.size(2, 60)):
        if opened and rng.random() < 0.5:
            text += opened.pop()
        else:
            text += rng.choice("([{<")
            opened.append({"(": ")", "[": "]", "{": "}", "<": ">"}[text[-1]])
    text += "".join(reversed(opened))
    at = rng.randrange(len(text))
    return text if rng.random() < 0.4 else text[:at] + rng.choice(["", ")", "[", ">"]) + text[at + 1 :]


@problem(
    cases=["{[()]}<>", "([)]", "(", "]", "()()[]", "((<>)"],
    random=bracket_line,
    examples=2,
)
def brackets(read):
    """There are four kinds of brackets: (), [], {} and <>. In a correct text every bracket that opens is
    closed by one of the same kind, and brackets that were opened later are closed earlier. Find the first
    mistake when reading from left to right: a closing bracket that does not close the latest open one, or, if
    there is no such bracket, the end of the text when some are still open.

    Input: one line with 1 to 150 brackets, without spaces.

    Output: one line with the word correct; or the word mistake, a space, and the place of the wrong bracket,
    counted from 1 (the end of the text is the place after the last bracket).
    """
    text = read.line()
    opened: list[str] = []
    for place, c in enumerate(text, start=1):
        if c in "([{<":
            opened.append(c)
        elif not opened or opened.pop() + c not in ("()", "[]", "{}", "<>"):
            return f"mistake {place}"
    return f"mistake {len(text) + 1}" if opened else "correct"


def postfix(rng):
    words: list[str] = []
    stack: list[int] = []
    wanted = rng.size(2, 60)
    while len(words) < wanted or len(stack) > 1:
        operator = rng.choice("+-*")
        if len(stack) < 2 or (len(words) < wanted and rng.random() < 0.5):
            stack.append(rng.randint(-20, 20))
            words.append(str(stack[-1]))
        elif abs(value := OPERATORS[operator](stack[-2], stack[-1])) < 10**9:
            stack[-2:] = [value]
            words.append(operator)
    return [len(words), words]


OPERATORS = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b}


@problem(
    cases=[[7, ["3", "4", "+", "2", "5", "-", "*"]], [1, ["-8"]], [3, ["5", "7", "-"]], [5, ["1", "2", "3", "*", "-"]]],
    random=postfix,
)
def postfix_calculator(read):
    """A pocket calculator has a stack, which is empty at first. A number is put on top of the stack. A sign
    +, - or * takes the two numbers at the top away and puts their sum, difference or product there; the
    number that was on top is the right one of the two, so 5 7 - gives -2. At the end one number is on the
    stack.

    Input: two lines. The first has the number of words n (1 to 150), the second n words separated by single
    spaces: whole numbers from -20 to 20 and the signs. Every sign finds at least two numbers on the stack,
    and no number ever leaves the range from -1000000000 to 1000000000.

    Output: one line with the number on the stack at the end.
    """
    read.number()
    stack: list[int] = []
    for word in read.words():
        if word in OPERATORS:
            right, left = stack.pop(), stack.pop()
            stack.append(OPERATORS[word](left, right))
        else:
            stack.append(int(word))
    return stack.pop()


def bank_orders(rng):
    names = [rng.word(2, 6) for _ in range(5)]
    for _ in range(rng.size(3, 100)):
        kind, amount = rng.choice(["deposit", "withdraw", "transfer"]), rng.randint(1, 200)
        one, other = rng.sample(names, 2)
        yield [kind, one, other, amount] if kind == "transfer" else [kind, one, amount]


@problem(
    cases=[
        [5, "deposit ann 100", "withdraw ann 30", "transfer ann bob 50", "withdraw bob 60", "deposit cy 5"],
        [1, "withdraw x 1"],
        [2, "deposit zed 10", "withdraw zed 10"],
        [1, "transfer kim lou 5"],
        [3, "transfer b a 5", "deposit b 5", "transfer b a 5"],
    ],
    random=lambda rng: [len(orders := [*bank_orders(rng)]), *orders],
)
def bank(read):
    """A bank carries out orders one after the other. Every account is empty at first. The order deposit a x
    puts x coins into the account of a; withdraw a x takes x coins out of it; transfer a b x moves x coins
    from the account of a to that of b. An order that would need more coins than there are in an account is
    refused and changes nothing.

    Input: the first line has the number of orders n (1 to 100). Each of the next n lines has an order: its
    words are separated by single spaces, names have 1 to 6 small letters, amounts are whole numbers from 1 to
    1000, and the two names of a transfer are different.

    Output: the first line has the number of refused orders. Then follows one line for each name that occurs
    in an order, even a refused one, in alphabetical order: the name, a space, and the coins in the account at
    the end.
    """
    coins: defaultdict[str, int] = defaultdict(int)
    refused = 0
    for _ in range(read.number()):
        kind, *names, amount = read.words()
        x = int(amount)
        coins[names[-1]] += 0  # it has an account now
        if kind != "deposit" and coins[names[0]] < x:
            refused += 1
            continue
        if kind != "deposit":
            coins[names[0]] -= x
        if kind != "withdraw":
            coins[names[-1]] += x
    return [refused, *sorted(coins.items())]


@problem(
    cases=[
        [2, [3, 5], 2, [2, 4]],
        [1, [1], 1, [1]],
        [3, [1, 9, 2], 2, [9, 1]],
        [1, [2], 4, [1, 1, 1, 2]],
        [2, [3, 1], 2, [2, 4]],
        [2, [1, 2], 2, [2, 1]],
    ],
    random=lambda rng: [*rng.counted(rng.size(2, 20), 1, 9), *rng.counted(rng.size(2, 20), 1, 9)],
)
def card_game(read):
    """Two players each hold a pile of cards with numbers. In each round both turn over the top card of their
    pile. Whoever has the larger number puts both cards under the own pile: first the own card, then the other
    player's below it. If the numbers are equal, both cards leave the game. The game ends when a pile is
    empty, at the latest after 500 rounds. Who wins? It is the player who still has cards when the other has
    none; in all other cases there is no winner.

    Input: four lines: the number of cards of the first player (1 to 20), these cards from top to bottom, and
    the same for the second player. The cards are whole numbers from 1 to 9, separated by single spaces.

    Output: one line with the word first, second or nobody, a space, and the number of rounds played.
    """
    read.number()
    first = deque(read.numbers())
    read.number()
    second = deque(read.numbers())
    rounds = 0
    while first and second and rounds < 500:
        a, b = first.popleft(), second.popleft()
        if a > b:
            first += [a, b]
        elif b > a:
            second += [b, a]
        rounds += 1
    winner = "nobody" if bool(first) == bool(second) else "first" if first else "second"
    return [[winner, rounds]]


@problem(
    cases=[[6, [12, 15, 11, 11, 13, 16]], [1, [5]], [4, [9, 8, 7, 6]], [3, [4, 4, 5]], [4, [-3, -1, -2, 0]]],
    random=lambda rng: rng.counted(rng.size(5, 300), -20, 40),
)
def warmer_day(read):
    """For each day of a series of temperatures: how many days must one wait for a warmer one?

    Input: two lines. The first has the number of days n (1 to 300), the second the temperatures of the days
    in order, whole numbers separated by single spaces (from -50 to 50).

    Output: one line with n numbers separated by single spaces: for each day the number of days until the next
    day that is warmer than it, or 0 if there is no such day.
    """
    n, temperatures = read.number(), read.numbers()
    waits = [0] * n
    colder: list[int] = []  # days still waiting for a warmer one
    for day, temperature in enumerate(temperatures):
        while colder and temperatures[colder[-1]] < temperature:
            earlier = colder.pop()
            waits[earlier] = day - earlier
        colder.append(day)
    return [waits]

"""Tier 6: graphs."""

from __future__ import annotations

import heapq
from collections import deque

from problems.ladder.task import tier

problem = tier(6)


def neighbours(n, edges):
    """For each node 1..n the nodes that share an edge with it."""
    near: list[list[int]] = [[] for _ in range(n + 1)]
    for a, b in edges:
        near[a].append(b)
        near[b].append(a)
    return near


def tree(rng, n):
    """The edges of a random tree with the nodes 1..n, shuffled."""
    label = rng.sample(range(1, n + 1), n)
    edges = [[label[i], label[rng.randrange(max(0, i - 5), i)]] for i in range(1, n)]
    return rng.sample(edges, len(edges))


@problem(
    cases=[
        [[4, 6], "S.#...", "..#.#.", ".##.#.", "....#E"],
        [[1, 2], "SE"],
        [[2, 2], "S#", "#E"],
        [[3, 3], "E..", "##.", "S.."],
        [[1, 5], "S.#.E"],
    ],
    random=lambda rng: maze(rng, rng.randint(3, 30), rng.size(3, 30)),
)
def maze_steps(read):
    """Find the shortest way through a maze: from the square S to the square E, each step one square up, down,
    left or right, never onto a wall.

    Input: the first line has the height h and the width w of the maze, separated by a space (each from 1 to
    30). Each of the next h lines has w characters: # is a wall, . is free; S and E, which are free too, occur
    once each.

    Output: one line with the smallest number of steps, or the word impossible.
    """
    h, _ = read.numbers()
    squares = {(i, j): c for i, row in enumerate(read.lines(h)) for j, c in enumerate(row) if c != "#"}
    start = next(place for place, c in squares.items() if c == "S")
    steps, queue = {start: 0}, deque([start])
    while queue:
        i, j = queue.popleft()
        if squares[i, j] == "E":
            return steps[i, j]
        for place in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
            if place in squares and place not in steps:
                steps[place] = steps[i, j] + 1
                queue.append(place)
    return "impossible"


def maze(rng, h, w):
    cells = list(rng.word(h * w, h * w, ".....##"))
    start, end = rng.sample(range(h * w), 2)
    cells[start], cells[end] = "S", "E"
    return [[h, w], *("".join(cells[i * w : i * w + w]) for i in range(h))]


@problem(
    cases=[
        [[4, 5], "##..#", "#...#", "..#..", "...##"],
        [[1, 1], "."],
        [[2, 2], "##", "##"],
        [[3, 3], "#.#", ".#.", "#.#"],
        [[3, 5], "#####", "#...#", "#####"],
    ],
    random=lambda rng: [[h := rng.randint(3, 30), w := rng.size(3, 30)], *rng.grid(h, w, "##..")],
)
def islands(read):
    """A map shows land (#) and water (.). Squares of land that touch along a side belong to the same island;
    touching at a corner only is not enough. How many islands are there, and how many squares has the largest?

    Input: the first line has the height h and the width w of the map, separated by a space (each from 1 to
    30). Each of the next h lines has w characters, # or . for each square.

    Output: one line with the number of islands and the squares of the largest, separated by a space (0 0 if
    there is no land).
    """
    h, _ = read.numbers()
    land = {(i, j) for i, row in enumerate(read.lines(h)) for j, c in enumerate(row) if c == "#"}
    sizes = []
    while land:
        stack, size = [land.pop()], 0
        while stack:
            i, j = stack.pop()
            size += 1
            touching = {(i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)} & land
            land -= touching
            stack += touching
        sizes.append(size)
    return [[len(sizes), max(sizes, default=0)]]


@problem(
    cases=[
        [[5, 4], [1, 2], [3, 4], [2, 1], [1, 4]],
        [[1, 1], [1, 1]],
        [[3, 2], [1, 2], [2, 3]],
        [[4, 3], [2, 2], [4, 3], [3, 4]],
    ],
    random=lambda rng: [[n := rng.size(4, 200), m := rng.size(4, 250)], *(rng.ints(2, 1, n) for _ in range(m))],
)
def joining_villages(read):
    """At first n villages have no roads. Then roads are built one after the other, each between two villages
    (a road may also lead from a village to itself, or join two villages that have a road already). Villages
    form a group if one can get from each to each other by road. After every road: how many groups are there,
    and how many villages has the largest?

    Input: the first line has n (1 to 200) and the number of roads m (1 to 250), separated by a space. Each of
    the next m lines has the numbers of the two villages of a road, separated by a space (each from 1 to n).

    Output: m lines, each with the number of groups and the size of the largest, separated by a space.
    """
    n, m = read.numbers()
    leader, size = [*range(n + 1)], [1] * (n + 1)

    def find(a: int) -> int:
        while leader[a] != a:
            leader[a] = a = leader[leader[a]]
        return a

    groups, largest, lines = n, 1, []
    for a, b in read.rows(m):
        a, b = find(a), find(b)
        if a != b:
            leader[a] = b
            size[b] += size[a]
            groups, largest = groups - 1, max(largest, size[b])
        lines.append([groups, largest])
    return lines


def dependencies(rng, n, m):
    order = rng.sample(range(1, n + 1), n)
    pairs = [[order[a - 1], order[b - 1]] for a, b in rng.edges(n, m)]
    if rng.random() < 0.2:
        pairs.append(pairs[0][::-1])  # a circle
    return [[n, len(pairs)], *pairs]


@problem(
    cases=[
        [[5, 4], [5, 1], [3, 1], [1, 2], [3, 4]],
        [[3, 3], [1, 2], [2, 3], [3, 1]],
        [[4, 1], [4, 1]],
        [[2, 2], [2, 1], [2, 1]],
        [[3, 2], [2, 3], [3, 2]],
    ],
    random=lambda rng: dependencies(rng, rng.size(4, 80), rng.size(4, 150)),
    examples=2,
)
def work_order(read):
    """A project has n tasks, and some tasks must be done before others. Find an order in which the tasks can
    be done one after the other. If several tasks can be done next, the one with the smallest number is done
    next.

    Input: the first line has n (1 to 80) and the number of rules m (1 to 200), separated by a space. Each of
    the next m lines has two different tasks a and b, separated by a space: a must be done before b. A rule
    may occur more than once.

    Output: one line with the tasks in order, separated by single spaces, or the word impossible if there is
    no such order.
    """
    n, m = read.numbers()
    after: list[list[int]] = [[] for _ in range(n + 1)]
    waiting_for = [0] * (n + 1)
    for a, b in read.rows(m):
        after[a].append(b)
        waiting_for[b] += 1
    ready = [task for task in range(1, n + 1) if not waiting_for[task]]
    order = []
    while ready:
        task = heapq.heappop(ready)
        order.append(task)
        for b in after[task]:
            waiting_for[b] -= 1
            if not waiting_for[b]:
                heapq.heappush(ready, b)
    return [order] if len(order) == n else "impossible"


def weighted(rng, n, m, top):
    return [[a, b, rng.randint(1, top)] for a, b in rng.edges(n, m)]


@problem(
    cases=[
        [[4, 4], [1, 2, 5], [2, 3, 1], [1, 3, 9], [3, 4, 2]],
        [[2, 1], [1, 2, 7]],
        [[3, 1], [2, 3, 1]],
        [[3, 3], [1, 3, 10], [1, 2, 5], [2, 3, 5]],
        [[3, 3], [1, 2, 4], [2, 1, 1], [2, 3, 6]],
    ],
    random=lambda rng: [[n := rng.size(4, 80), m := min(2 * n, n * (n - 1) // 2)], *weighted(rng, n, m, 1000)],
)
def delivery_times(read):
    """Roads join n towns; every road can be used in both directions and takes a given time. How long does the
    fastest way from town 1 to each other town take?

    Input: the first line has n (2 to 80) and the number of roads m (1 to 200), separated by a space. Each of
    the next m lines has two different towns and the time of the road between them (1 to 1000), separated by
    single spaces. Two towns may be joined by several roads.

    Output: n - 1 lines: for each of the towns 2 to n the smallest time, or the word never if there is no way
    to it.
    """
    n, m = read.numbers()
    roads: list[list[tuple[int, int]]] = [[] for _ in range(n + 1)]
    for a, b, time in read.rows(m):
        roads[a].append((b, time))
        roads[b].append((a, time))
    fastest: dict[int, int] = {}
    queue = [(0, 1)]
    while queue:
        time, town = heapq.heappop(queue)
        if town not in fastest:
            fastest[town] = time
            for other, extra in roads[town]:
                heapq.heappush(queue, (time + extra, other))
    return [fastest.get(town, "never") for town in range(2, n + 1)]


@problem(
    cases=[
        [[4, 5], [1, 2, 3], [2, 3, 1], [3, 4, 7], [1, 3, 2], [2, 4, 8]],
        [[2, 1], [1, 2, 4]],
        [[3, 1], [1, 2, 5]],
        [[3, 3], [1, 2, 6], [1, 2, 5], [3, 2, 5]],
    ],
    random=lambda rng: [[n := rng.size(4, 80), m := min(3 * n, n * (n - 1) // 2)], *weighted(rng, n, m, 500)],
)
def cheapest_cables(read):
    """All of n houses are to be connected by cables, directly or over other houses. Some pairs of houses can
    be joined by a cable at a given price. What is the smallest total price?

    Input: the first line has n (2 to 80) and the number of possible cables m (1 to 250), separated by a
    space. Each of the next m lines has two different houses and the price of a cable between them (1 to 500),
    separated by single spaces. The same pair may occur more than once.

    Output: one line with the smallest total price, or the word impossible if the houses cannot all be
    connected.
    """
    n, m = read.numbers()
    group, total, joined = [*range(n + 1)], 0, 0
    for a, b, price in sorted(read.rows(m), key=lambda cable: cable[2]):
        if group[a] != group[b]:
            total, joined = total + price, joined + 1
            gone, kept = group[a], group[b]
            group = [kept if g == gone else g for g in group]
    return total if joined == n - 1 else "impossible"


def quarrels(rng, n, m):
    side = [rng.randint(0, 1) for _ in range(n + 1)]
    honest = rng.random() < 0.6
    pairs = [[a, b] for a, b in rng.edges(n, 4 * m) if side[a] != side[b] or not honest][:m]
    return [[n, len(pairs)], *pairs] if pairs else [[n, 1], [1, 2]]


@problem(
    cases=[
        [[5, 4], [1, 2], [2, 3], [4, 5], [1, 4]],
        [[3, 3], [1, 2], [2, 3], [3, 1]],
        [[4, 1], [2, 4]],
        [[4, 4], [1, 2], [2, 3], [3, 4], [4, 1]],
        [[6, 5], [6, 5], [5, 4], [4, 6], [1, 2], [2, 3]],
    ],
    random=lambda rng: quarrels(rng, rng.size(4, 80), rng.size(3, 70)),
    examples=2,
)
def two_tables(read):
    """Some of n guests have quarrelled. They are to sit at two tables so that no two who have quarrelled sit
    at the same table. Guest 1 sits at table A. Of every set of guests that are tied together by quarrels,
    directly or over others, the one with the smallest number sits at table A too. Who sits at table A?

    Input: the first line has n (2 to 80) and the number of quarrels m (1 to 100), separated by a space. Each
    of the next m lines has two different guests who have quarrelled, separated by a space.

    Output: one line with the numbers of the guests at table A in increasing order, separated by single
    spaces, or the word impossible.
    """
    n, m = read.numbers()
    near = neighbours(n, read.rows(m))
    table = [0] * (n + 1)
    for guest in range(1, n + 1):
        if table[guest]:
            continue
        table[guest], stack = 1, [guest]
        while stack:
            a = stack.pop()
            for b in near[a]:
                if table[b] == table[a]:
                    return "impossible"
                if not table[b]:
                    table[b] = -table[a]
                    stack.append(b)
    return [[guest for guest in range(1, n + 1) if table[guest] == 1]]


@problem(
    cases=[
        [6, [1, 2], [2, 3], [2, 4], [4, 5], [5, 6]],
        [2, [2, 1]],
        [5, [1, 2], [1, 3], [1, 4], [1, 5]],
        [4, [3, 1], [1, 2], [2, 4]],
    ],
    random=lambda rng: [n := rng.size(5, 200), *tree(rng, n)],
)
def longest_trail(read):
    """Trails join n huts in the mountains so that there is exactly one way between any two of them. How many
    trails lie between the two huts that are farthest from each other, and how many pairs of huts are that far
    apart?

    Input: the first line has n (2 to 200). Each of the next n - 1 lines has two huts joined by a trail,
    separated by a space (huts are numbered from 1 to n).

    Output: one line with the largest number of trails between two huts and the number of pairs with that
    distance, separated by a space. The order within a pair does not matter.
    """
    n = read.number()
    near = neighbours(n, read.rows(n - 1))
    far = pairs = 0
    for start in range(1, n + 1):
        distance, queue = {start: 0}, deque([start])
        while queue:
            a = queue.popleft()
            for b in near[a]:
                if b not in distance:
                    distance[b] = distance[a] + 1
                    queue.append(b)
        longest = max(distance.values())
        ends = sum(d == longest for d in distance.values())
        far, pairs = (longest, ends) if longest > far else (far, pairs + ends * (longest == far))
    return [[far, pairs // 2]]


def network(rng, n):
    edges = {tuple(sorted(edge)) for edge in tree(rng, n) + rng.edges(n, n // 4)}
    shuffled = rng.sample(sorted(edges), len(edges))
    return [[n, len(edges)], *shuffled]


@problem(
    cases=[
        [[6, 6], [1, 2], [2, 3], [3, 1], [3, 4], [4, 5], [5, 6]],
        [[2, 1], [2, 1]],
        [[3, 3], [1, 2], [2, 3], [1, 3]],
        [[7, 8], [1, 2], [2, 3], [1, 3], [3, 4], [4, 5], [5, 6], [6, 4], [6, 7]],
    ],
    random=lambda rng: network(rng, rng.size(5, 80)),
)
def critical_links(read):
    """Computers are joined by links, and all of them can reach each other over the links. A link is critical
    if without it some computers could no longer reach each other. Find all the critical links.

    Input: the first line has the number of computers n (2 to 80) and of links m (1 to 150), separated by a
    space. Each of the next m lines has two different computers joined by a link, separated by a space. No two
    computers are joined by more than one link.

    Output: the first line has the number of critical links. Then follows one line for each of them: its two
    computers, the smaller number first, separated by a space. They are in increasing order of the first
    computer, and then of the second.
    """
    n, m = read.numbers()
    links = sorted(sorted(link) for link in read.rows(m))

    def reached(links: list[list[int]]) -> int:
        near, seen, stack = neighbours(n, links), {1}, [1]
        while stack:
            new = set(near[stack.pop()]) - seen
            seen |= new
            stack += new
        return len(seen)

    critical = [link for k, link in enumerate(links) if reached(links[:k] + links[k + 1 :]) < n]
    return [len(critical), *critical]

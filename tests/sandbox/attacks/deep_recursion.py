# Recursion without end and without the interpreter's limit.
# expect=runtime_error,memory_limit wall_s=100
# ruff: noqa
import sys

sys.setrecursionlimit(10**9)


def f(n):
    return max(n, f(n + 1))


f(1)

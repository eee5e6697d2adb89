# Fills lists for ever and swallows the error.
# expect=memory_limit,timeout memory_mb=64 test_s=3
# ruff: noqa
blocks = []
while True:
    try:
        blocks.append(b"x" * 2**20)
    except MemoryError:
        pass

# Spins and swallows what would end it.
# expect=timeout test_s=0.5
# ruff: noqa
while True:
    try:
        while True:
            pass
    except BaseException:
        pass

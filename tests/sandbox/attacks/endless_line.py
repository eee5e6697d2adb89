# One line without end.
# expect=output_limit test_s=5
# ruff: noqa
import sys

while True:
    sys.stdout.write("x" * 65536)

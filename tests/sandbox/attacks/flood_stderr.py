# Prints for ever to standard error.
# expect=output_limit test_s=5
# ruff: noqa
import sys

while True:
    sys.stderr.write("held\n" * 1000)

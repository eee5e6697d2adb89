# Puts modules of its own in the place of the standard library's for later runs.
# expect=passed tests=2
# ruff: noqa
import os
import sys

assert sys.stdin is not None
for folder in [*sys.path, os.path.expanduser("~/.local/lib"), "/tmp", "."]:
    try:
        os.makedirs(folder, exist_ok=True)
        for name in ("sitecustomize.py", "usercustomize.py", "os.py", "random.py"):
            with open(os.path.join(folder, name), "w") as file:
                file.write("print('other'); raise SystemExit")
    except OSError:
        pass
import random

assert random.random() < 1
print("held")

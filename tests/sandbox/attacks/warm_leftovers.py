# Changes the interpreter that it runs in, and looks for what an earlier test has changed.
# expect=passed tests=5
import builtins
import gc
import os
import sys

broken = []
if hasattr(builtins, "kept") or "kept" in sys.modules or "KEPT" in os.environ or hasattr(os, "kept"):
    broken.append("an earlier test's")
if any(isinstance(x, dict) and "kept" in x for x in gc.get_objects() if x is not globals()):
    broken.append("an earlier test's object")
print(*broken or ["held"], flush=True)
vars(builtins)["kept"] = vars(os)["kept"] = [1]
sys.modules["kept"] = os
os.environ["KEPT"] = "1"
vars(builtins)["print"] = sys.exit
os.umask(0)
os.chdir("/")
os.close(0)

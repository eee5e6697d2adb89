import os

line = input()
home = os.environ["TMPDIR"]
for found, expected in ((os.listdir(home), ["w"]), (os.listdir(home + "/w"), ["program.py"])):
    if found != expected:
        print("found", found)
for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
    try:  # another's processes are seen where there is no namespace of their own
        if pid not in (1, os.getpid()):
            os.kill(pid, 0)
            print("found", pid)
    except OSError:
        pass
print(line)

import os

line = input()
for found, expected in ((os.listdir("/tmp"), ["w"]), (os.listdir("/tmp/w"), ["program.py"])):
    if found != expected:
        print("found", found)
pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
if not {1, os.getpid()}.issuperset(pids):
    print("found", pids)
print(line)

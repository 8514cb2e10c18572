"""Has 50,000 sites, and forks. Writes how much of its memory the child has touched at its start, in KiB."""

import os
import sys

SITES = 50000
functions = {}
exec(compile("".join("def f%d(): return bytearray(100)\n" % i for i in range(SITES)), "made.py", "exec"), functions)
kept = [functions["f%d" % i]() for i in range(SITES)]


def touched():
    with open("/proc/self/smaps_rollup") as rollup:
        return next(int(line.split()[1]) for line in rollup if line.startswith("Referenced:"))


with open("/proc/self/clear_refs", "w") as clear:
    clear.write("1")
child_end = os.pipe()
child = os.fork()
if child == 0:
    os.write(child_end[1], b"%d" % touched())
    os._exit(0)
os.waitpid(child, 0)
with open(int(os.environ.get("TM_READY", 1)), "w") as ready:
    ready.write(os.read(child_end[0], 20).decode() + "\n")
    ready.flush()
    sys.stdin.readline()

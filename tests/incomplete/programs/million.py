"""Holds a million blocks from 1500 lines in 300 files, each ten frames deep. Then waits."""

import os
import sys

MAKER = """
def make_{n}_{m}(keep, depth):
    if depth:
        return make_{n}_{m}(keep, depth - 1)
    keep.extend([bytes(i % {m} * 40 + 17) for i in range(680)])
"""


def fill(keep):
    for n in range(300):
        names = {}
        text = "".join(MAKER.format(n=n, m=m) for m in range(1, 6))
        exec(compile(text, "/srv/made/module_%d.py" % n, "exec"), names)
        for m in range(1, 6):
            names["make_%d_%d" % (n, m)](keep, 7)


keep = []
fill(keep)
os.write(int(os.environ["TM_READY"]), b"ready\n")
sys.stdin.readline()

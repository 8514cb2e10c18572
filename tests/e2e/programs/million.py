"""Keeps a million small blocks alive, and waits. Says the address of one of them."""

import gc
import os
import sys

COUNT = 1000000


def fill():
    keep = [None] * COUNT
    for i in range(COUNT):
        keep[i] = b"%d" % (i + 1000)  # here
    return keep


keep = fill()
gc.collect()  # a block in a free list counts as alive
os.write(int(os.environ["TM_READY"]), b"%d\n" % id(keep[COUNT // 2]))
sys.stdin.readline()

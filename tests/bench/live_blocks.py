"""Keeps as many small blocks alive as its argument says, made in functions of many lines, and waits.

Says on $TM_READY the address of one of them.
"""

import os
import sys


def bytes_objects(keep, first, last):
    for i in range(first, last):
        keep[i] = b"%d" % (i + 1000)


def strings(keep, first, last):
    for i in range(first, last):
        keep[i] = "text %d" % i


def integers(keep, first, last):
    for i in range(first, last):
        keep[i] = i + 1000000


MAKERS = (bytes_objects, strings, integers)


def fill(count):
    keep = [None] * count
    step = max(1, count // 300)
    for number, first in enumerate(range(0, count, step)):
        MAKERS[number % len(MAKERS)](keep, first, min(first + step, count))
    return keep


KEEP = fill(int(sys.argv[1]))
os.write(int(os.environ["TM_READY"]), b"%d\n" % id(KEEP[len(KEEP) // 2]))
sys.stdin.readline()

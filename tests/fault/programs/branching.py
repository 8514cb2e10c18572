"""Each traceback is new: a function calls itself from one of two lines, chosen at each level, and keeps a block where it
ends. Prints the number of blocks it keeps, and waits."""

import os
import sys

DEPTH = 14

kept = []


def descend(turn, depth):
    if depth == DEPTH:
        kept.append(bytes(1000))  # each turn
    elif turn >> depth & 1:
        descend(turn, depth + 1)  # odd
    else:
        descend(turn, depth + 1)  # even


for turn in range(int(sys.argv[1])):
    descend(turn, 0)

os.write(int(os.environ["TM_READY"]), b"%d\n" % len(kept))
sys.stdin.readline()

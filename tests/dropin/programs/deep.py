"""Tracebacks of more frames than can be kept: prints how many are, and what is at their ends.

Usage: deep.py DEPTH
"""

import sys
import threading
import tracemalloc

import _tracemalloc

LIMITS = (1, 2, 1000, 65534, 65535)


def deep(n):
    if n:
        return deep(n - 1)
    for limit in LIMITS:
        tracemalloc.start(limit)
        block = bytes(5001 - 33)  # what an empty one has
        # Without the classes around them: stock takes a while for each block which is allocated down here.
        traces = _tracemalloc._get_traces()
        tracemalloc.stop()
        for trace in traces:
            if trace[1] == 5001:
                print(limit, len(trace[2]), trace[2][0][1], trace[2][1:2], trace[2][-1][1], trace[3:])
    del block


def main(depth):
    tracemalloc.stop()
    sys.setrecursionlimit(depth + 1000)
    threading.stack_size(1 << 30)
    thread = threading.Thread(target=deep, args=(depth,))
    thread.start()
    thread.join()


main(int(sys.argv[1]))

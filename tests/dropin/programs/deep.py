"""Tracebacks with more frames than can be kept. Prints how many are kept, and the frames at both ends.

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
        block = bytes(5001 - 33)  # 33 is the size of an empty one
        # The raw traces, not tracemalloc's classes: stock is slow for each block that is allocated at this depth.
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

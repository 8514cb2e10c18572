"""Blocks of 5003, 5005 and 5007 bytes with as many frames below each as their last digit says.

Prints {size: total_nframe}; then stops tracing, starts it again by tracemalloc.start(), and does the same. With the
argument `wait` it stops at that instead, with its blocks."""

import os
import sys
import tracemalloc


def block(size, depth):
    return block(size, depth - 1) if depth else bytes(size - EMPTY)


EMPTY = sys.getsizeof(b"")


def show(kept):
    frames = {}
    for trace in tracemalloc.take_snapshot().traces:
        if 5000 < trace.size < 5010:
            frames[trace.size] = getattr(trace.traceback, "total_nframe", None)
    assert len(frames) == len(kept)
    print(frames)


exec(sys.argv[1])
kept = [block(5003, 1), block(5005, 3), block(5007, 5)]
if sys.argv[2:] == ["wait"]:
    os.write(int(os.environ["TM_READY"]), b"ready\n")
    sys.stdin.readline()
else:
    show(kept)
    limit = tracemalloc.get_traceback_limit()
    tracemalloc.stop()
    tracemalloc.start(limit)
    kept = [block(5003, 1), block(5005, 3), block(5007, 5)]
    show(kept)

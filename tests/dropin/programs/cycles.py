"""Starts and stops tracing many times. Prints by how many bytes the process has grown, mapped and resident."""

import sys
import tracemalloc


def memory():
    with open("/proc/self/statm") as file:
        return [int(pages) * 4096 for pages in file.read().split()[:2]]


def cycle(count):
    for n in range(count):
        tracemalloc.start(n % 3 * 12 + 1)
        blocks = [bytearray(100 + n % 50) for _ in range(100)]
        tracemalloc.get_object_traceback(blocks[0])
        if n % 100 == 0:
            tracemalloc.take_snapshot()
        tracemalloc.clear_traces()
        del blocks[::2]
        tracemalloc.stop()


tracemalloc.stop()
cycle(50)
before = memory()
cycle(int(sys.argv[1]))
print(*(now - then for now, then in zip(memory(), before)))

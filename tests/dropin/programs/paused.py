"""Resizes blocks while a snapshot is made, which records nothing: prints how many blocks are told of, by line, afterwards.

To CPython 3.11 the collector runs in its midst, and with it what programs have their objects do at their end.
"""

import _tracemalloc
import collections
import gc
import tracemalloc


class Grows:
    def __init__(self, lists):
        self.me = self
        self.lists = lists

    def __del__(self):
        for grown in self.lists:
            grown.extend([None] * 1000)  # told


def look():
    lines = [trace[2][0][1] for trace in _tracemalloc._get_traces() if trace[2][0][0] == __file__]
    return collections.Counter(lines)


gc.disable()
tracemalloc.start(5)
lists = [[] for _ in range(2000)]
for items in lists:
    items.extend([None] * 10)  # told
gc.collect()  # the next collection is due when some hundred objects have come
for first in range(0, len(lists), 20):
    Grows(lists[first : first + 20])
gc.enable()
_tracemalloc._get_traces()
gc.disable()
gc.collect()
found = look()
with open(__file__) as file:
    for number, text in enumerate(file, 1):
        if text.endswith("# told\n"):
            print(number, found[number])

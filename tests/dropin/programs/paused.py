"""Resizes blocks while a snapshot is made, when nothing is recorded. Then prints how many blocks are listed, by line.

Up to CPython 3.11 the collector runs while a snapshot is made, and with it the finalizers of a program's objects.
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
            grown.extend([None] * 1000)  # listed


def look():
    lines = [trace[2][0][1] for trace in _tracemalloc._get_traces() if trace[2][0][0] == __file__]
    return collections.Counter(lines)


gc.disable()
tracemalloc.start(5)
lists = [[] for _ in range(2000)]
for items in lists:
    items.extend([None] * 10)  # listed
gc.collect()  # the next collection comes after some hundred new objects
for first in range(0, len(lists), 20):
    Grows(lists[first : first + 20])
gc.enable()
_tracemalloc._get_traces()
gc.disable()
gc.collect()
found = look()
with open(__file__) as file:
    for number, text in enumerate(file, 1):
        if text.endswith("# listed\n"):
            print(number, found[number])

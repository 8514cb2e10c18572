"""Allocates blocks of every kind under file names of every kind of str, and says what tracemalloc knows of them."""

import gc
import json
import os
import sys
import tracemalloc

SOURCE = "def make(n):\n    return [bytes(100 + i) for i in range(n)]\n"


class Name(str):
    """A str that is not compact."""


class Managed:
    """An instance with a dict and weak references, which are before it in memory in some versions."""


names = ["plain.py", "latin \u00e9.py", "ucs2 \u4e2d.py", "ucs4 \U0001f40d.py", "lone \udc80\ud800.py", ""]
kept = []
for number, name in enumerate(names):
    space = {}
    exec(compile(SOURCE, name, "exec"), space)
    kept.append(space["make"](10 + number))
    make = space["make"]
    make.__code__ = make.__code__.replace(co_filename=Name("sub " + name))
    kept.append(make(20 + number))
try:
    import numpy

    kept.append([numpy.zeros(1000 + i) for i in range(50)])
except ImportError:
    pass
objects = [bytearray(5000), Managed(), [1, 2], {"a": 1}, (kept,), bytes(len(kept)), lambda: kept, Managed]
gc.disable()
gc.collect()
limit = tracemalloc.get_traceback_limit()
statistics = tracemalloc.take_snapshot().statistics("traceback")
answer = {
    "limit": limit,
    "objects": [
        [id(thing), [[frame.filename, frame.lineno] for frame in tracemalloc.get_object_traceback(thing)]]
        for thing in objects
        if tracemalloc.get_object_traceback(thing)  # a block from a free list can be older than the tracing
    ],
    "names": sorted(
        [row.size, row.count, [[frame.filename, frame.lineno] for frame in row.traceback]]
        for row in statistics
        if any(row.traceback[-1].filename.endswith(name) and row.traceback[-1].lineno == 2 for name in names)
        and row.traceback[-1].filename.startswith(("sub ",) + tuple(name for name in names if name))
    ),
    "numpy": sum(row.size for row in tracemalloc.take_snapshot().filter_traces(
        [tracemalloc.DomainFilter(True, 389047)]).statistics("filename")),
}
with open("answer.json", "w", encoding="ascii") as file:
    json.dump(answer, file)
os.write(int(os.environ["TM_READY"]), b"ready\n")
sys.stdin.readline()

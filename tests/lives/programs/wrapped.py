"""Functions come and go, each at the address of an earlier one, and call each other: every traceback is right.

So are the tracebacks of functions that exist when tracing begins or when traces are cleared.
"""

import collections
import os
import sys
import tracemalloc

FUNCTIONS, CALLS = 90, 2


def make(name, number):
    space = {}
    exec(compile("def f(g):\n" + "\n" * number + "    return g(3000)\n", "%s-%d.py" % (name, number), "exec"), space)
    return space["f"]


def some():
    return [(make("outer", number), make("inner", number)) for number in range(FUNCTIONS // 3)]


def wrong(pairs):
    """How many blocks have a wrong traceback, after functions died one after the other."""
    kept = []
    for number in range(FUNCTIONS):
        outer, inner = pairs.pop() if pairs else (make("outer", number), make("inner", number))
        for _ in range(CALLS):
            kept.append(outer(lambda size: inner(bytearray)))  # noqa: B023
        del outer, inner
    found = collections.Counter()
    for trace in tracemalloc.take_snapshot().traces:
        frames = [(frame.filename, frame.lineno) for frame in trace.traceback]
        if trace.size > 3000 and frames[-1][0].startswith("inner-"):
            number = int(frames[-1][0][6:-3])
            right = frames[-1][1] == number + 2 and frames[-3] == ("outer-%d.py" % number, number + 2)
            found[right] += 1
    return abs(CALLS * FUNCTIONS - found[True]) + found[False]


made = some()
counts = [wrong([])]
tracemalloc.clear_traces()
counts.append(wrong(made))
tracemalloc.stop()
made = some()
tracemalloc.start(5)
counts.append(wrong(made))
os.write(int(os.environ["TM_READY"]), b"%d %d %d\n" % tuple(counts))
sys.stdin.readline()

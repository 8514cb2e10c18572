"""pandas: columns of numbers, which numpy reports to tracemalloc itself, and of strings."""

import os

import numpy
import pandas

kept = []
for number in range(4):
    frame = pandas.DataFrame({"a": numpy.arange(500000), "b": numpy.random.default_rng(1).random(500000)})
    frame["c"] = frame["a"].astype(str)
    kept.append(frame[frame["b"] > 0.3])
grouped = kept[0].groupby(kept[0]["a"] % 100).sum(numeric_only=True)
never_touched = numpy.zeros(50 << 20, dtype=numpy.uint8)
os.write(int(os.environ["TM_READY"]), b"ready\n")
input()

"""numpy's arrays, as tracemalloc shows them: their data is in domain 389047.

The argument is the folder of a numpy that the interpreter can load."""

import gc
import sys
import tracemalloc

sys.path.append(sys.argv[1])

import numpy  # noqa: E402

DOMAIN = 389047


def show(title, snapshot):
    of_numpy = snapshot.filter_traces([tracemalloc.DomainFilter(True, DOMAIN)])
    others = snapshot.filter_traces([tracemalloc.DomainFilter(False, DOMAIN)])
    print(title, len(of_numpy.traces) + len(others.traces) == len(snapshot.traces))
    print(DOMAIN in {trace.domain for trace in others.traces})
    for trace in sorted(of_numpy.traces, key=lambda trace: (trace.size, trace.traceback)):
        print(trace.domain, trace.size, [(frame.filename, frame.lineno) for frame in trace.traceback])
    for key in ("lineno", "filename", "traceback"):
        for statistic in of_numpy.statistics(key):
            print(key, statistic)


tracemalloc.stop()
warm = numpy.ones(10).reshape(2, 5).copy().astype(float).tolist()
tracemalloc.start(3)
gc.collect()  # now the free lists are empty
arrays = [numpy.ones(1000 + n) for n in range(10)]
grid = numpy.zeros((1000, 1000))
text = numpy.array(["abc"] * 77)
grown = numpy.arange(50)
made = tracemalloc.take_snapshot()
grown.resize(5000, refcheck=False)
view = grid[:10]
copy = view.copy()
del arrays[3:], text
changed = tracemalloc.take_snapshot()
del grid, view, grown, copy, arrays
gone = tracemalloc.take_snapshot()
tracemalloc.stop()
show("made", made)
show("changed", changed)
show("gone", gone)
# The module's own lines, with numpy's array objects, before anything but the program ran.
for row in made.filter_traces([tracemalloc.Filter(True, __file__)]).statistics("lineno"):
    print(row)

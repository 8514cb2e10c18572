# The lines that hold the most memory, with their source and without the import system; then the sum of the rest.
import linecache
import os
import tracemalloc

import application


def display_top(snapshot, key="lineno", limit=3):
    snapshot = snapshot.filter_traces(
        (tracemalloc.Filter(False, "<frozen importlib._bootstrap>"), tracemalloc.Filter(False, "<unknown>"))
    )
    statistics = snapshot.statistics(key)
    print("Top %s lines" % limit)
    for number, statistic in enumerate(statistics[:limit], 1):
        frame = statistic.traceback[0]
        # Two parts of a path are enough.
        name = os.sep.join(frame.filename.split(os.sep)[-2:])
        print("#%s: %s:%s: %.1f KiB" % (number, name, frame.lineno, statistic.size / 1024))
        line = linecache.getline(frame.filename, frame.lineno).strip()
        if line:
            print("    %s" % line)
    rest = statistics[limit:]
    if rest:
        print("%s other: %.1f KiB" % (len(rest), sum(statistic.size for statistic in rest) / 1024))
    print("Total allocated size: %.1f KiB" % (sum(statistic.size for statistic in statistics) / 1024))


tracemalloc.start()

application.run()

display_top(tracemalloc.take_snapshot())

"""Loads the snapshot file argv[1] with tracemalloc and prints its traces and statistics as JSON. Runs in CPython 3.8 and later."""

import json
import sys
import tracemalloc

KEYS = [("lineno", False), ("filename", False), ("traceback", False), ("lineno", True), ("filename", True)]


def frames(traceback):
    return [[frame.filename, frame.lineno] for frame in traceback]


snapshot = tracemalloc.Snapshot.load(sys.argv[1])
assert type(snapshot) is tracemalloc.Snapshot and set(snapshot.__dict__) == {"traces", "traceback_limit"}
assert type(snapshot.traces._traces) is list

text = json.dumps(
    {
        "limit": snapshot.traceback_limit,
        "traces": [[trace.domain, trace.size, frames(trace.traceback)] for trace in snapshot.traces],
        "totals": [getattr(trace.traceback, "total_nframe", None) for trace in snapshot.traces],
        "statistics": [
            [[frames(row.traceback), row.size, row.count] for row in snapshot.statistics(key, cumulative)]
            for key, cumulative in KEYS
        ],
        "kept": len(snapshot.filter_traces([tracemalloc.Filter(True, "*known.py", all_frames=True)]).traces),
    }
)
sys.stdout.write(text)

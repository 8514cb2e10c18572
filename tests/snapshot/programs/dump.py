"""Takes two snapshots with stock tracemalloc, dumps them in many ways into the folder argv[1], and prints what tracemalloc
itself says of them: {"names": of the ways, "rows": {key: [str() of each difference]}}. argv[2] is the frame limit.
"""

import io
import json
import os
import pickle
import pickletools
import sys
import tracemalloc

FOLDER, LIMIT = sys.argv[1], int(sys.argv[2])

SOURCE = """
def deep(n, keep):
    keep.append(bytes(100 + n))
    if n:
        deep(n - 1, keep)
    keep.append([None] * n)
"""
NAMES = ["plain.py", "\u00e9\u00e8/\u6f22\u5b57.py", "surrogate\udc80\udcff.py", "tab\there.py", "\U0001f40d.py", "x" * 300]


def work(keep, depth):
    for name in NAMES:
        space = {}
        exec(compile(SOURCE, name, "exec"), space)
        space["deep"](depth, keep)
    keep.extend({i: str(i) * 20} for i in range(depth * 10))


def ways(snapshot):
    """(name, bytes) for each way to write a snapshot."""
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        whole = pickle.dumps(snapshot, protocol)
        yield "protocol-%d" % protocol, whole
        yield "optimized-%d" % protocol, pickletools.optimize(whole)
        file = io.BytesIO()
        pickle._Pickler(file, protocol).dump(snapshot)  # written in Python: it cuts the stream into other frames
        yield "python-%d" % protocol, file.getvalue()
    yield "reloaded", pickle.dumps(pickle.loads(pickle.dumps(snapshot)), 4)
    yield "filtered", pickle.dumps(snapshot.filter_traces([tracemalloc.DomainFilter(True, 0)]), 4)


def as_tuple(snapshot):
    return tracemalloc.Snapshot(tuple(snapshot.traces._traces), snapshot.traceback_limit)


tracemalloc.start(LIMIT)
keep = []
work(keep, 20)
old = tracemalloc.take_snapshot()
del keep[::3]
work(keep, 30)
new = tracemalloc.take_snapshot()
tracemalloc.stop()

names = ["dump"]
for side, snapshot in ("old", old), ("new", new):
    snapshot.dump(os.path.join(FOLDER, side + ".dump"))
    for name, data in list(ways(snapshot)) + [("tuple", pickle.dumps(as_tuple(snapshot)))]:
        with open(os.path.join(FOLDER, "%s.%s" % (side, name)), "wb") as file:
            file.write(data)
        if side == "old":
            names.append(name)

rows = {key: [str(row) for row in new.compare_to(old, key)] for key in ("lineno", "filename", "traceback")}
rows.update({key + " -c": [str(row) for row in new.compare_to(old, key, True)] for key in ("lineno", "filename")})
matching = tracemalloc.Filter(True, "*.py", all_frames=True)
filtered = [snapshot.filter_traces([matching]) for snapshot in (new, old)]
rows["traceback --include *.py --all-frames"] = [str(row) for row in filtered[0].compare_to(filtered[1], "traceback")]
json.dump({"names": names, "rows": rows}, sys.stdout)

"""The traced program of the oracle: target.py SEED OBJECTS FOLDER.

FOLDER has the generated modules, and program.json with what to run and to answer. The program allocates until it keeps
at least OBJECTS objects, and stops. It allocates and frees some more, and stops again. Then it writes answers.json.

At a stop the program copies all traces and waits without allocating. So the copy is exactly what the tables of the
tracer, or of CPython's own tracemalloc, hold during the stop. To make this true, the free lists are empty and the
collector is off: no part of the copy can then be in a traced block. The copy itself is not traced, except for the list
object, which is in the copy.
"""

import gc
import importlib
import json
import linecache
import os
import signal
import sys
import tracemalloc

import _tracemalloc
import runtime


def stop(label, ready=int(os.environ["TM_READY"]), write=os.write, pause=signal.pause, copy=_tracemalloc._get_traces):
    gc.disable()
    gc.collect()
    traces = copy()
    write(ready, label)
    pause()
    gc.enable()
    return traces


def allocate(least):
    while len(runtime.kept) < least:
        runtime.call(runtime.number(len(runtime.F)) - 1)
    for index in range(len(runtime.code)):
        runtime.keep(runtime.run_code(index, 20 + index))


def track(domains):
    """Track blocks of other allocators, at addresses of their choice."""
    import ctypes

    try:
        from tracemortem import _tracer

        library = ctypes.PyDLL(_tracer.__file__)
    except ImportError:  # under CPython's own tracemalloc
        library = ctypes.pythonapi
    track = library.PyTraceMalloc_Track
    track.argtypes = [ctypes.c_uint, ctypes.c_size_t, ctypes.c_size_t]
    for domain in domains:
        for i in range(runtime.number(40)):
            track(domain, 16 * i + domain % 3, i * 100)
            track(domain, (1 << 64) - 1 - i, 5 << 30)


# -- the answers


def getline(name, number, original=linecache.getline):
    """linecache.getline(), which in older CPythons fails on a name that no file can have."""
    try:
        return original(name, number)
    except UnicodeEncodeError:
        return ""


def make_filter(inclusive, pattern, lineno, all_frames, domain):
    if pattern is None:
        return tracemalloc.DomainFilter(inclusive, domain)
    return tracemalloc.Filter(inclusive, pattern, lineno, all_frames, domain)


def detail(statistic, key):
    if key == "traceback":
        return statistic.traceback.format()
    frame = statistic.traceback[0]
    line = getline(frame.filename, frame.lineno).strip() if key == "lineno" and frame.lineno else ""
    return ["    " + line] if line else []


def frames(traceback):
    return [[frame.filename, frame.lineno] for frame in traceback]


def answer(query, old, new):
    """The rows with the lines below them, the number of other rows, the sums, and the rows as numbers."""
    filters = [make_filter(*words) for words in query["filters"]]
    new = new.filter_traces(filters)
    if query["command"] == "tm-diff":
        statistics = new.compare_to(old.filter_traces(filters), query["key"], query["cumulative"])
    else:
        statistics = new.statistics(query["key"], query["cumulative"])
    # Cumulative rows overlap, so the total is that of rows which do not.
    all_rows = statistics
    if query["cumulative"] and query["command"] == "tm-diff":
        all_rows = new.compare_to(old.filter_traces(filters), query["key"])
    elif query["cumulative"]:
        all_rows = new.statistics(query["key"])
    attributes = ["size", "count"] + (["size_diff", "count_diff"] if query["command"] == "tm-diff" else [])
    shown, others = statistics[: query["limit"]], statistics[query["limit"] :]
    return {
        "rows": [[str(row), detail(row, query["key"])] for row in shown],
        "others": len(others),
        "other": [sum(getattr(row, name) for row in others) for name in attributes],
        "total": [sum(getattr(row, name) for row in all_rows) for name in attributes],
        "numbers": [[frames(row.traceback)] + [getattr(row, name) for name in attributes] for row in shown],
    }


def describe(thing):
    traceback = tracemalloc.get_object_traceback(thing)
    return {
        "total_nframe": getattr(traceback, "total_nframe", None),
        "frames": frames(traceback),
        "format": {str(limit): traceback.format(limit) for limit in (None, 3, -2, 1, 1000, -1000)},
    }


def main(seed, least, folder):
    os.chdir(folder)
    sys.path.insert(0, folder)
    with open("program.json", encoding="ascii") as file:
        program = json.load(file)
    runtime.rng.seed(seed)
    sys.setrecursionlimit(5000)
    for name in program["modules"]:
        importlib.import_module(name)
    runtime.code[:] = zip(program["names"], program["sources"])
    runtime.idle.acquire()
    if program["clear"]:
        tracemalloc.clear_traces()
    for _ in range(3):
        runtime.start_idler()
    track(program["domains"])
    allocate(least)
    old = stop(b"old\n")
    runtime.forget(len(runtime.kept) // 3)
    track(program["domains"][:1])
    allocate(least)
    traced = [thing for thing in runtime.kept if tracemalloc.get_object_traceback(thing)]
    probes = [runtime.rng.choice(traced) for _ in range(program["probes"])]
    with open("addresses.json", "w") as file:
        json.dump([id(thing) for thing in probes], file)
    new = stop(b"new\n")

    linecache.getline = getline
    limit = tracemalloc.get_traceback_limit()
    snapshots = [tracemalloc.Snapshot(traces, limit) for traces in (old, new)]
    described = [describe(thing) for thing in probes]
    tracemalloc.stop()  # the stock tracer would take minutes for the rest
    answers = {
        "traces": [len(old), len(new)],
        "sizes": [sum(trace[1] for trace in traces) for traces in (old, new)],
        "answers": [answer(query, *snapshots) for query in program["queries"]],
        "probes": described,
        "strange": sorted({frame[0] for trace in new for frame in trace[2]}),
        "domains": sorted({trace[0] for trace in new}),
    }
    with open("answers.json", "w", encoding="ascii") as file:
        file.write(json.dumps(answers))  # json.dump() is several times slower
    os.write(int(os.environ["TM_READY"]), b"answered\n")


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, lambda *_: None)
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])

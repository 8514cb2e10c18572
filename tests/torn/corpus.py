"""What the stepped program does, part by part: `corpus.py [PART]...`.

It writes where it is into cells which the harness maps too: before an operation, its line. The build replaces __LINE__ by
the number of the line, so that this allocates nothing.
"""

import ctypes
import functools
import mmap
import os
import importlib.util
import signal
import sys
import threading
import tracemalloc
import types

# 16 cells for each thread: 1 the line of the operation, 2 that of a function it calls, 8 and 9 where the part was called.
cells = memoryview(mmap.mmap(int(os.environ["TM_TORN_CELLS"]), 4096)).cast("H")

if os.environ["TRACEMORTEM_DETAIL"] == "sampled":
    # Then tracemalloc is CPython's own.
    spec = importlib.util.spec_from_file_location("_tracer", os.environ["LD_PRELOAD"])
    tracemalloc = importlib.util.module_from_spec(spec)

# Without the interpreter's lock, and with it.
free_running = ctypes.CDLL(None)
holding = ctypes.pythonapi


def function(library, name, result, *arguments):
    made = library[name]
    made.restype = result
    made.argtypes = arguments
    return made


def family(library, name):
    size, pointer = ctypes.c_size_t, ctypes.c_void_p
    return (
        function(library, name + "_Malloc", pointer, size),
        function(library, name + "_Calloc", pointer, size, size),
        function(library, name + "_Realloc", pointer, pointer, size),
        function(library, name + "_Free", None, pointer),
    )


def raw_family(library):
    size, pointer = ctypes.c_size_t, ctypes.c_void_p
    return (
        function(library, "PyMem_RawMalloc", pointer, size),
        function(library, "PyMem_RawCalloc", pointer, size, size),
        function(library, "PyMem_RawRealloc", pointer, pointer, size),
        function(library, "PyMem_RawFree", None, pointer),
    )


FAMILIES = (raw_family(holding), family(holding, "PyMem"), family(holding, "PyObject"))
unlocked = raw_family(free_running)
track = function(holding, "PyTraceMalloc_Track", ctypes.c_int, ctypes.c_uint, ctypes.c_size_t, ctypes.c_size_t)
untrack = function(holding, "PyTraceMalloc_Untrack", ctypes.c_int, ctypes.c_uint, ctypes.c_size_t)

SIZES = (0, 1, 8, 15, 16, 17, 24, 32, 100, 511, 512, 513, 4096, 70000)
GIANT = 5 << 30


def sizes():
    for malloc, calloc, realloc, free in FAMILIES:
        for size in SIZES:
            cells[1] = __LINE__; block = malloc(size)
            cells[1] = __LINE__; other = calloc(1, size)
            cells[1] = __LINE__; free(block); free(other); cells[1] = 0


def giants():
    malloc, calloc, realloc, free = FAMILIES[0]
    for size in ((1 << 30) - 1, 1 << 30, GIANT, 200000, 1 << 20):
        cells[1] = __LINE__; block = malloc(size)
        cells[1] = __LINE__; block = realloc(block, size + 100000)
        cells[1] = __LINE__; free(block); cells[1] = 0


def resizes():
    for malloc, calloc, realloc, free in FAMILIES:
        cells[1] = __LINE__; block = malloc(100); cells[1] = 0
        for size in (101, 16, 17, 0, 600, 601, 3000, 100000, 20):
            cells[1] = __LINE__; block = realloc(block, size); cells[1] = 0
        cells[1] = __LINE__; other = realloc(block, 1 << 62)
        assert other is None
        cells[1] = __LINE__; free(block)
        cells[1] = __LINE__; block = realloc(None, 50)
        cells[1] = __LINE__; free(block); cells[1] = 0


def objects():
    cells[1] = __LINE__; kept = [bytearray(1000), bytes(50), {1: 2}, {1, 2}, 1.5, "ab" * 20]
    cells[1] = __LINE__; kept += [bytearray(1), bytearray(2), bytearray(3)]
    cells[1] = __LINE__; kept[0].extend(b"x" * 3000)
    cells[1] = __LINE__; del kept


def inner(size):
    cells[2] = __LINE__; block = bytearray(size); cells[2] = 0
    return block


def nested():
    for size in (10, 100):
        cells[1] = __LINE__; block = inner(size)
        cells[1] = __LINE__; del block; cells[1] = 0


def births():
    for n in (1, 2):
        cells[1] = __LINE__; first = [n + 0.5, (n,), [n], {n: n}]
        cells[1] = __LINE__; del first
        cells[1] = __LINE__; second = [n + 0.25, (n, n)[:1], [n, n], {n: 1}]
        cells[1] = __LINE__; del second; cells[1] = 0


def leaf():
    cells[1] = __LINE__; block = bytearray(3 << 20)
    cells[1] = __LINE__; other = bytearray(40 << 20)
    cells[1] = __LINE__; del block, other


def template():
    return bytearray(30)


def new_code(number, name):
    code = template.__code__
    return types.CodeType.replace(code, co_firstlineno=number, co_name=name, co_filename=name + ".py")


def code_objects(count=6):
    for number in range(count):
        cells[1] = 0; made = types.FunctionType(new_code(1000 + number, "made%d" % number), {"bytearray": bytearray})
        made()
        cells[1] = __LINE__; del made; cells[1] = 0


def tracked(count=12, domain=77):
    for n in range(count):
        cells[1] = __LINE__; track(domain, 4096 + 24 * n, n); cells[1] = 0
    for n in range(0, count, 2):
        cells[1] = __LINE__; track(domain, 4096 + 24 * n, n + 1); cells[1] = 0
    for n in range(count):
        cells[1] = __LINE__; untrack(domain, 4096 + 24 * n); cells[1] = 0
    cells[1] = __LINE__; untrack(domain, 123)


def tracked_core():
    malloc, calloc, realloc, free = FAMILIES[0]
    cells[1] = __LINE__; block = malloc(64)
    cells[1] = __LINE__; track(0, block, 64)
    cells[1] = __LINE__; untrack(0, block)
    cells[1] = __LINE__; free(block)
    cells[1] = __LINE__; track(0, 4097, 10)
    cells[1] = __LINE__; untrack(0, 4097)


def thread_body(base, started):
    malloc, calloc, realloc, free = unlocked
    cells[base + 1] = 0
    started.set()
    for size in (1, 16, 40, 700, 200000):
        cells[base + 1] = __LINE__; block = malloc(size)
        cells[base + 1] = __LINE__; block = realloc(block, size * 2)
        cells[base + 1] = __LINE__; free(block)
        cells[base + 1] = __LINE__; kept = [bytearray(size)]
        cells[base + 1] = __LINE__; del kept; cells[base + 1] = 0
    cells[base + 1] = 0


def threads():
    running = []
    for number in (1, 2):
        cells[1] = 0
        started = threading.Event()
        running.append(threading.Thread(target=thread_body, args=(16 * number, started)))
        running[-1].start()
    malloc, calloc, realloc, free = unlocked
    for size in (3, 17, 600):
        cells[1] = __LINE__; block = malloc(size)
        cells[1] = __LINE__; other = [block, bytearray(size)]
        cells[1] = __LINE__; free(block)
        cells[1] = __LINE__; del other; cells[1] = 0
    for thread in running:
        thread.join()


def clear():
    cells[1] = __LINE__; kept = bytearray(500)
    cells[1] = __LINE__; tracemalloc.clear_traces()
    cells[1] = __LINE__; kept = bytearray(501)
    cells[1] = __LINE__; tracemalloc.reset_peak() if hasattr(tracemalloc, "reset_peak") else None


def stop():
    limit = tracemalloc.get_traceback_limit()
    cells[1] = __LINE__; kept = bytearray(502)
    cells[1] = __LINE__; tracemalloc.stop()
    cells[1] = __LINE__; kept = bytearray(503)
    cells[1] = __LINE__; tracemalloc.start(limit)
    cells[1] = __LINE__; kept = bytearray(504)
    cells[1] = __LINE__; del kept


def fork():
    cells[1] = 0
    pid = os.fork()
    if pid == 0:
        kept = [bytearray(n) for n in (10, 600)]
        del kept
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


PARTS = (sizes, resizes, giants, objects, nested, births, leaf, code_objects, tracked, tracked_core, threads, fork, clear, stop)
# Called without a Python frame in between, whose line would not be in the cells.
LONG_PARTS = {"growth": functools.partial(code_objects, 300), "tracked_growth": functools.partial(tracked, 600, 78)}


def main(parts):
    os.kill(os.getpid(), signal.SIGSTOP)
    for part in parts:
        cells[8] = __LINE__ + 1
        part()
        cells[1] = 0
    os.kill(os.getpid(), signal.SIGSTOP)


named = dict(LONG_PARTS, **{part.__name__: part for part in PARTS})
cells[9] = __LINE__; main([named[name] for name in sys.argv[1:]] or PARTS)

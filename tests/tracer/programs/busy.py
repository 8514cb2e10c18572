"""Does all that changes a trace table: all kinds of blocks, reallocs, threads, births, tracked blocks, code that comes and
goes, a fork (not with `busy.py --no-fork`), clearing traces, stopping and starting. Prints "done" at its end."""

import ctypes
import gc
import os
import sys
import threading

import tracemortem

TRACK = ctypes.pythonapi.PyTraceMalloc_Track
TRACK.argtypes = [ctypes.c_uint, ctypes.c_size_t, ctypes.c_size_t]
UNTRACK = ctypes.pythonapi.PyTraceMalloc_Untrack
UNTRACK.argtypes = [ctypes.c_uint, ctypes.c_size_t]
RAW = [getattr(ctypes.CDLL(None), name) for name in ("PyMem_RawMalloc", "PyMem_RawRealloc", "PyMem_RawFree")]
for function in RAW:
    function.restype = ctypes.c_void_p
RAW[0].argtypes, RAW[1].argtypes = [ctypes.c_size_t], [ctypes.c_void_p, ctypes.c_size_t]
RAW[2].argtypes = [ctypes.c_void_p]


def blocks():
    kept = [bytes(size) for size in range(0, 700, 3)]
    kept += [bytearray(size) for size in (1 << 16, 1 << 20, 3 << 20)]
    kept.append([None] * 10000)
    grown = bytearray()
    for i in range(300):
        grown += bytes(37 * i % 4099)
    return kept[::2] + [grown]


def births():
    for i in range(3000):
        point = (i, float(i))
        table = {"a": point, "b": [point]}
        del table


def code():
    for i in range(40):
        space = {}
        exec(compile("def f(x):\n%s    return [x, x * 2]\n" % ("\n" * (i % 7)), "made-%d.py" % (i % 9), "exec"), space)
        space["f"](i)
    gc.collect()


def tracked():
    for i in range(3000):
        TRACK(7, i * 3, i)
        TRACK(0, 0x7000000001 + 32 * i, 5)
    for i in range(0, 3000, 2):
        UNTRACK(7, i * 3)
    TRACK(7, 9, 1000)


def raw():
    addresses = [RAW[0](size) for size in range(1, 400)]
    addresses = [RAW[1](address, 1000 - size) for size, address in enumerate(addresses)]
    for address in addresses:
        RAW[2](address)


def deep(levels):
    return [levels] if levels == 0 else deep(levels - 1) + [levels]


def all_of_it():
    kept = blocks()
    births()
    code()
    tracked()
    raw()
    threads = [threading.Thread(target=work) for work in (blocks, raw, births, raw)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept.append(deep(200))
    return kept


def forked():
    child = os.fork()
    if child == 0:
        all_of_it()
        tracemortem.clear_traces()
        births()
        tracemortem.stop()
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        sys.exit("the child has failed")


kept = all_of_it()
if "--no-fork" not in sys.argv:
    forked()
tracemortem.clear_traces()
kept += all_of_it()
tracemortem.stop()
births()
tracemortem.start(3)
kept += all_of_it()
del kept
gc.collect()
sys.stdout.write("done\n")

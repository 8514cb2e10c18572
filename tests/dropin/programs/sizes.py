"""Blocks of strange sizes and addresses: prints how the current tracer counts them.

Usage: sizes.py LIBRARY. The library has PyTraceMalloc_Track(); "" is the interpreter itself.
"""

import ctypes
import sys
import threading
import tracemalloc

GIB = 1 << 30
python = ctypes.pythonapi
for domain in ("PyMem_Raw", "PyMem_", "PyObject_"):
    for name, arguments in (("Malloc", 1), ("Calloc", 2), ("Realloc", 2), ("Free", 1)):
        function = getattr(python, domain + name)
        first = ctypes.c_void_p if name in ("Realloc", "Free") else ctypes.c_size_t
        function.argtypes = [first] + [ctypes.c_size_t] * (arguments - 1)
        function.restype = None if name == "Free" else ctypes.c_void_p


def sizes(condition):
    """The sizes of the blocks that meet a condition, in all domains."""
    found = [(trace[0], trace[1]) for trace in tracemalloc.take_snapshot().traces._traces if condition(*trace[:2])]
    return sorted(found)


def huge(domain, size):
    return size >= GIB


def gained(before):
    """GiB traced since, to a thousandth: the program's own objects come and go, so the sum is some bytes off."""
    return round((tracemalloc.get_traced_memory()[0] - before) / GIB, 3) + 0.0  # no -0.0


print("huge")
tracemalloc.stop()
tracemalloc.start(2)
for domain in ("PyMem_Raw", "PyMem_", "PyObject_"):
    malloc, calloc, realloc, free = (
        getattr(python, domain + name) for name in ("Malloc", "Calloc", "Realloc", "Free")
    )
    before = tracemalloc.get_traced_memory()[0]
    block = malloc(5 * GIB + 3)
    assert block, "no memory for 5 GiB"
    print(domain, sizes(huge), gained(before))
    block = realloc(block, 6 * GIB + 1)
    print(sizes(huge), gained(before))
    block = realloc(block, 100)
    print(sizes(huge), gained(before))
    block = realloc(block, 4 * GIB)
    print(sizes(huge), gained(before))
    other = calloc(5, GIB)
    print(sizes(huge), gained(before))
    print("impossible", calloc(1 << 62, 8), malloc((1 << 63) - 1), realloc(block, (1 << 63) - 1), sizes(huge))
    free(block)
    free(other)
    print(sizes(huge), gained(before))

print("zero")
for domain in ("PyMem_Raw", "PyMem_", "PyObject_"):
    malloc, calloc, realloc, free = (
        getattr(python, domain + name) for name in ("Malloc", "Calloc", "Realloc", "Free")
    )

    def zeros():
        return len(sizes(lambda domain, size: size == 0))

    before = zeros()
    blocks = [malloc(0), calloc(0, 5), calloc(5, 0), realloc(None, 0)]
    print(domain, all(blocks), len(set(blocks)), zeros() - before)
    blocks[0] = realloc(blocks[0], 10)
    blocks[1] = realloc(blocks[1], 0)
    print(zeros() - before)
    for block in blocks:
        free(block)
    free(None)
    print(zeros() - before)
tracemalloc.stop()

print("tracked")
library = ctypes.CDLL(sys.argv[1]) if sys.argv[1] else ctypes.CDLL(None)  # called without the interpreter's lock
holding = ctypes.PyDLL(sys.argv[1]) if sys.argv[1] else ctypes.pythonapi  # called with the lock
for functions in (library, holding):
    functions.PyTraceMalloc_Track.argtypes = [ctypes.c_uint, ctypes.c_size_t, ctypes.c_size_t]
    functions.PyTraceMalloc_Untrack.argtypes = [ctypes.c_uint, ctypes.c_size_t]
ADDRESSES = (1, 7, 0x1001, 0x12345678901, (1 << 64) - 1, (1 << 63) + 5, 0)
for functions in (library, holding):
    track, untrack = functions.PyTraceMalloc_Track, functions.PyTraceMalloc_Untrack
    print("off", track(5, 1000, 10), untrack(5, 1000))
    tracemalloc.start(1)

    def told(domain, size):
        return domain in (5, 6, 0xFFFFFFFF) or size in (777777, 777778)

    print("on", [track(5, address, 100 + number) for number, address in enumerate(ADDRESSES)], sizes(told))
    print("another domain", track(6, 1, 55), track(0xFFFFFFFF, 1, 66), sizes(told))
    print("again", track(5, 1, 1 << 40), track(5, 7, 0), track(5, 7, 1), sizes(told))
    print("domain 0", track(0, 1, 777777), track(0, 0x1001, 777777), track(0, 0x1001, 777778), sizes(told))
    print("gone", [untrack(5, address) for address in ADDRESSES[::2]], untrack(5, 424242), untrack(0, 1), sizes(told))
    print("twice", untrack(5, 1), untrack(6, 1), sizes(told))
    size, peak = tracemalloc.get_traced_memory()
    print("sum", size >= 777778)
    tracemalloc.clear_traces()
    print("cleared", tracemalloc.get_traced_memory(), sizes(told))
    thread = threading.Thread(target=track, args=(5, 99, 99))
    thread.start()
    thread.join()
    print("of a thread", sizes(told))
    tracemalloc.stop()
    print("off", track(5, 1000, 10), untrack(5, 1000))
    tracemalloc.start(1)
    print("on again", sizes(told))
    tracemalloc.stop()

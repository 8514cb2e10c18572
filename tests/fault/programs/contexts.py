"""Calls each allocator's functions with the context of another: tracing starts and stops, and a thread without the
interpreter's lock reads the two in the middle. CPython copies an allocator word by word.
"""

import ctypes
import os
import sys
import tracemalloc

WORDS = ("context", "malloc", "calloc", "realloc", "free")
DOMAINS = {"raw": 0, "mem": 1, "object": 2}
pointer, size = ctypes.c_void_p, ctypes.c_size_t


class Allocator(ctypes.Structure):
    _fields_ = [(word, pointer) for word in WORDS]


def allocators():
    found = []
    for domain in DOMAINS.values():
        found.append(Allocator())
        ctypes.pythonapi.PyMem_GetAllocator(domain, ctypes.byref(found[-1]))
    return found


def use(functions, context):
    malloc = ctypes.PYFUNCTYPE(pointer, pointer, size)(functions.malloc)
    calloc = ctypes.PYFUNCTYPE(pointer, pointer, size, size)(functions.calloc)
    realloc = ctypes.PYFUNCTYPE(pointer, pointer, pointer, size)(functions.realloc)
    free = ctypes.PYFUNCTYPE(None, pointer, pointer)(functions.free)
    blocks = [malloc(context, 100), calloc(context, 10, 10), realloc(context, None, 100)]
    blocks = [realloc(context, block, 200) for block in blocks]
    assert all(blocks)
    for block in blocks:
        free(context, block)


tracemalloc.stop()
off = allocators()
tracemalloc.start(5)
on = allocators()
for before, now in zip(off, on):
    assert before.malloc != now.malloc, "tracing installed no hook"
    use(now, before.context)
    use(before, now.context)
os.write(int(os.environ["TM_READY"]), b"used\n")
sys.stdin.readline()

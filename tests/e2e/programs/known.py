"""Allocates known numbers of blocks of known sizes at known lines, and waits.

A comment "# N x SIZE" says which blocks of its line are alive when the program is ready; "# gone": none. The
functions of the C API are called through ctypes, so that sizes are exact. PyDLL keeps the interpreter's lock during a
call; CDLL releases it.
"""

import ctypes
import gc
import os
import sys
import threading

HEAD = sys.getsizeof(b"")  # of a bytes object, with the NUL at its end
held, free = ctypes.PyDLL(None), ctypes.CDLL(None)


def function(library, name, *arguments):
    result = library[name]
    result.restype, result.argtypes = ctypes.c_void_p, arguments
    return result


size_t, pointer = ctypes.c_size_t, ctypes.c_void_p
mem_malloc = function(held, "PyMem_Malloc", size_t)
mem_calloc = function(held, "PyMem_Calloc", size_t, size_t)
mem_realloc = function(held, "PyMem_Realloc", pointer, size_t)
mem_free = function(held, "PyMem_Free", pointer)
object_malloc = function(held, "PyObject_Malloc", size_t)
object_realloc = function(held, "PyObject_Realloc", pointer, size_t)
raw_malloc = function(free, "PyMem_RawMalloc", size_t)
raw_realloc = function(free, "PyMem_RawRealloc", pointer, size_t)
raw_free = function(free, "PyMem_RawFree", pointer)

# Addresses are kept as plain numbers, not as objects, so that keeping one allocates nothing.
Addresses = ctypes.c_void_p * 200
objects = [[None] * 200 for _ in range(4)]
mem, resized, shrunk, raw, cleared, zero, big = (Addresses() for _ in range(7))
THREADS = 4
in_threads = [Addresses() for _ in range(THREADS)]
bytes_in_threads = [[None] * 200 for _ in range(THREADS)]


def allocate():
    for i in range(200):
        objects[0][i] = bytes(1000 - HEAD)  # 200 x 1000
    for i in range(200):
        objects[1][i] = bytes(100 - HEAD)  # 100 x 100
    for i in range(0, 200, 2):
        objects[1][i] = None
    for i in range(200):
        objects[2][i] = bytes(5000)  # gone
    for i in range(200):
        objects[2][i] = None
    for i in range(200):
        mem[i] = mem_malloc(i % 2 + 16)  # 100 x 16, 100 x 17
    for i in range(200):
        zero[i] = object_malloc(0)  # 200 x 0
    for i in range(100):
        cleared[i] = mem_calloc(10, 30)  # 100 x 300
    big[0] = object_malloc(3 << 20)  # 1 x 3145728


def resize():
    for i in range(200):
        resized[i] = mem_malloc(100)  # gone
    for i in range(200):
        resized[i] = mem_realloc(resized[i], 4000)  # 200 x 4000
    for i in range(150):
        shrunk[i] = object_malloc(2000)  # 50 x 2000
    for i in range(100):
        shrunk[i] = object_realloc(shrunk[i], 20)  # 100 x 20
    for i in range(100):
        raw[i] = raw_malloc(64)  # gone
    for i in range(100):
        raw[i] = raw_realloc(raw[i], 100000)  # 60 x 100000
    for i in range(40):
        raw_free(raw[i])


def work_in_thread(addresses, kept, start):
    start.wait()
    for i in range(200):
        addresses[i] = raw_malloc(48 + i % 2)  # 200 x 48, 200 x 49
    for i in range(200):
        kept[i] = bytes(333 - HEAD)  # 400 x 333
    for i in range(100):
        kept[i] = None
    for i in range(100):
        addresses[i] = raw_realloc(addresses[i], 700)  # 400 x 700


def main():
    start = threading.Barrier(THREADS)
    threads = [
        threading.Thread(target=work_in_thread, args=(in_threads[n], bytes_in_threads[n], start)) for n in range(THREADS)
    ]
    allocate()
    resize()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()  # a block in a free list counts as alive, at the line that used it last
    target = objects[0][7]
    os.write(int(os.environ["TM_READY"]), b"%d %d %d\n" % (id(target), big[0], os.getpid()))
    sys.stdin.readline()
    os.abort()


main()

"""Memory of several kinds, of which tracemalloc knows a few MiB: docs/memory.md shows what tm-memory says of it."""

import ctypes
import mmap
import os

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

ready = int(os.environ.get("TM_READY", "1"))
shared = mmap.mmap(-1, 100 << 20)
shared.write(b"x" * (100 << 20))
pages = [bytes(400) for _ in range(300000)]
pages = pages[::128]  # the others are free
blocks = []
os.write(ready, b"ready\n")
while True:
    blocks += [libc.malloc(size) for size in (100, 5000, 1 << 20) for _ in range(100)]
    for block, size in zip(blocks[-300:], [100] * 100 + [5000] * 100 + [1 << 20] * 100):
        libc.memset(block, 1, size)
    os.write(ready, b"more\n")
    input()

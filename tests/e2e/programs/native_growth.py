"""Grows by 64 MiB that no Python allocator returns, and by 16 MiB that one does."""

import ctypes
import os
import sys

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
ready = int(os.environ["TM_READY"])

os.write(ready, b"before\n")
sys.stdin.readline()
native = libc.malloc(64 << 20)
libc.memset(native, 1, 64 << 20)
traced = bytearray(b"x") * (16 << 20)
os.write(ready, b"after\n")
sys.stdin.readline()

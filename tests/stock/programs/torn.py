"""Adds traces to a small table until it grows, removes them until it shrinks, again and again, and clears it."""

import ctypes
import gc
import os
import sys
import tracemalloc

rounds, count, domain = map(int, sys.argv[1:])
track = ctypes.pythonapi.PyTraceMalloc_Track
untrack = ctypes.pythonapi.PyTraceMalloc_Untrack
track.argtypes = [ctypes.c_uint, ctypes.c_size_t, ctypes.c_size_t]
untrack.argtypes = [ctypes.c_uint, ctypes.c_size_t]


def add_one(i):
    track(domain, 0x10000000 + 48 * i, 100 + i)


def add_other(i):
    track(domain, 0x10000000 + 48 * i, 1000 + i)


gc.disable()
tracemalloc.start(3)
for round_number in range(rounds):
    tracemalloc.clear_traces()
    for i in range(count):
        (add_one, add_other)[i % 2](i)
    if round_number == 0:
        os.write(int(os.environ["TM_READY"]), b"ready\n")
        sys.stdin.readline()
    for i in range(count, 3 * count):
        (add_one, add_other)[i % 2](i)
    for i in range(0, 3 * count, 7):
        add_other(i)  # in place
    for i in range(3 * count):
        untrack(domain, 0x10000000 + 48 * (i * 5 % (3 * count)))

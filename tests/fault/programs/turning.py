"""Turns tracing off and on, and clears traces, while threads allocate with the interpreter's lock and without."""

import os
import sys
import threading
import time
import tracemalloc

import ctypes

RAW = ctypes.CDLL(None)
RAW.PyMem_RawMalloc.restype = ctypes.c_void_p
RAW.PyMem_RawMalloc.argtypes = [ctypes.c_size_t]
RAW.PyMem_RawFree.argtypes = [ctypes.c_void_p]

ending = False
failed = []


def allocate():
    kept = []
    while not ending:
        kept = [bytearray(n) for n in range(300)] + kept[:50]
        if sum(map(len, kept[:300])) != 44850:
            failed.append("bytearrays")


def allocate_raw():
    while not ending:
        blocks = [RAW.PyMem_RawMalloc(n) for n in range(1, 300, 7)]
        for block in blocks:
            RAW.PyMem_RawFree(block)


threads = [threading.Thread(target=target) for target in (allocate, allocate, allocate_raw, allocate_raw)]
for thread in threads:
    thread.start()
for turn in range(int(sys.argv[1])):
    tracemalloc.clear_traces()
    if turn % 3 == 2:
        tracemalloc.stop()
        time.sleep(0.001)
        tracemalloc.start(5)
ending = True
for thread in threads:
    thread.join()
# The threads have ended. From here on the record must be exact again.
tracemalloc.stop()
tracemalloc.start(5)
kept = [bytearray(1000) for _ in range(100)]
os.write(int(os.environ["TM_READY"]), (repr(failed) + "\n").encode())
sys.stdin.readline()

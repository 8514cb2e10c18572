"""Traces itself for a short time, which gives a table of few pages with each kind of record and block. Then waits."""

import ctypes
import os
import sys

import tracemortem

MAKER = """
def make_{n}(keep, depth):
    if depth:
        return make_{n}(keep, depth - 1)
    keep.append(bytes({n} * 40 + 17))
    keep.append(bytearray({n} + 600))
"""

track = ctypes.pythonapi.PyTraceMalloc_Track
track.argtypes = ctypes.c_uint, ctypes.c_void_p, ctypes.c_size_t


def fill(keep):
    for n in range(120):
        names = {}
        exec(compile(MAKER.format(n=n), "/srv/made/module_%d_of_a_long_enough_name.py" % n, "exec"), names)
        for times in range(3):
            names["make_%d" % n](keep, n % 6)
        track(7, 0x1000 + n * 64, 48)
    keep.append(bytearray(3 << 20))
    for n in range(300):  # counters that also count dead blocks
        bytearray(n)


tracemortem.start(8)
keep = []
fill(keep)
os.write(int(os.environ["TM_READY"]), b"ready\n")
sys.stdin.readline()

"""Holds blocks of many tracebacks, so that every array of the table has several chunks, and waits.

Says the address of one of its objects, its process id, and the address of a block in domain 7. Then it reads a line. For
a number, it forks as many children, says their ids, and a line for each that has died. For an empty line, it aborts.
"""

import ctypes
import os
import signal
import sys

SOURCE = """
def make_{n}(keep, depth):
    if depth:
        return make_{n}(keep, depth - 1)
    keep.append(bytes({n} % 500 + 17))
    keep.append([{n}])
    keep.append(bytearray({n} % 90 + 600))
"""
FILES, FUNCTIONS = 60, 20

track = ctypes.pythonapi.PyTraceMalloc_Track
track.argtypes = ctypes.c_uint, ctypes.c_void_p, ctypes.c_size_t


def fill(keep):
    for number in range(FILES):
        numbers = range(number * FUNCTIONS, (number + 1) * FUNCTIONS)
        names = {}
        text = "".join(SOURCE.format(n=n) for n in numbers)
        exec(compile(text, "/srv/made/module_%d_of_a_long_enough_name.py" % number, "exec"), names)
        for n in numbers:
            names["make_%d" % n](keep, n % 7)
    for n in range(2000):
        track(7, 0x1000 + n * 64, 48)


keep = []
fill(keep)
large = [bytearray(b"%d" % n * 100000) for n in range(20)]
ready = int(os.environ["TM_READY"])
os.write(ready, b"%d %d %d\n" % (id(keep[777]), os.getpid(), 0x1000 + 640))
children = int(sys.stdin.readline() or 0)
for n in range(children):
    child = os.fork()
    if not child:
        while True:
            signal.pause()
    os.write(ready, b"%d\n" % child)
for n in range(children):
    os.write(ready, b"%d\n" % os.wait()[0])
if children:
    sys.stdin.readline()
os.abort()

"""Blocks that a library tracks in its own domains. argv[1] is the library that has PyTraceMalloc_Track().

Says two addresses: a block in three domains at once, CPython's among them, and a block in another domain only.
"""

import ctypes
import os
import sys

library = ctypes.PyDLL(sys.argv[1])
library.PyTraceMalloc_Track.argtypes = [ctypes.c_uint, ctypes.c_size_t, ctypes.c_size_t]
library.PyTraceMalloc_Untrack.argtypes = [ctypes.c_uint, ctypes.c_size_t]
track = library.PyTraceMalloc_Track


def main():
    memory = bytes(4967)  # 0: 1 x 5000
    address = id(memory)
    track(77, address, 3000)  # 77: 1 x 3000
    track(78, address, 10)  # 78: 1 x 10
    for number in range(60):
        track(78, 7 + number, 1 << 20)  # 78: 60 x 1048576
    for number in range(30):
        track(77, 7 + number, 100)
        library.PyTraceMalloc_Untrack(77, 7 + number)
    return memory, address


kept, shared = main()
os.write(int(os.environ["TM_READY"]), b"%d %d\n" % (shared, 7 + 59))
sys.stdin.readline()

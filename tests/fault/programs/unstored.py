"""Fails to resize a tracked block, and there is no memory to put its trace back."""

import ctypes
import os
import resource

api = ctypes.PyDLL(None)
api.PyMem_RawMalloc.restype = ctypes.c_void_p
api.PyMem_RawRealloc.restype = ctypes.c_void_p
api.PyMem_RawRealloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
track = ctypes.PyDLL(os.environ["LD_PRELOAD"]).PyTraceMalloc_Track  # the program may export CPython's own
track.argtypes = [ctypes.c_uint, ctypes.c_size_t, ctypes.c_size_t]

TOO_MUCH = 1 << 62


def resize_in_vain(times):
    for _ in range(times):
        assert api.PyMem_RawRealloc(block, TOO_MUCH) is None


block = api.PyMem_RawMalloc(1000)
assert track(0, block, 1000) == 0
resize_in_vain(10)
limits = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (4096, limits[1]))
resize_in_vain(5000)  # each time the block takes another place in the index, which gets full
resource.setrlimit(resource.RLIMIT_AS, limits)
os.write(int(os.environ["TM_READY"]), b"ready\n")
os.read(0, 1)

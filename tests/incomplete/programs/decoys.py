"""Puts decoys that look like trace tables into its memory, and waits. For a line "process N" it makes one of process N.

Says the address of the real root, and after each line the address of the latest decoy.
"""

import ctypes
import mmap
import os
import sys

ALIGN, SIZE = 1 << 20, 2752
SELF, PID = 32, 40  # in the root: docs/layout.md
PRIVATE, SHARED, FIXED, ANONYMOUS = 0x02, 0x01, 0x10, 0x20

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = libc.malloc.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]


def place(flags, file=-1):
    """The address of 2 MiB of new memory before the root, where a search comes first."""
    global last
    last -= 16 * ALIGN
    flags |= FIXED | (0 if file >= 0 else ANONYMOUS)
    assert libc.mmap(last, 2 * ALIGN, mmap.PROT_READ | mmap.PROT_WRITE, flags, file, 0) == last
    return last


def copy_of_root(address=None, process=None):
    data = bytearray(ctypes.string_at(root, SIZE))
    if address is not None:
        data[SELF : SELF + 8] = address.to_bytes(8, "little")
    if process is not None:
        data[PID : PID + 4] = process.to_bytes(4, "little")
    return bytes(data)


def decoy(process):
    address = place(PRIVATE)
    ctypes.memmove(address, copy_of_root(address, process), SIZE)
    return address


tracer = next(line.split()[-1] for line in open("/proc/self/maps") if "_tracer.abi3.so" in line)
root = last = ctypes.c_uint64.in_dll(ctypes.CDLL(tracer), "tracemortem_root").value
magic = ctypes.string_at(root, 16)

# In a Python object, at every multiple of 16 bytes; and whole copies at aligned addresses, where they are no tables.
keep = [magic * ALIGN, bytearray(magic * ALIGN), copy_of_root() * 1000]
ctypes.memmove(place(PRIVATE), magic * 256, 4096)
ctypes.memmove(place(PRIVATE), copy_of_root(), SIZE)
# In freed memory.
block = libc.malloc(4 * ALIGN)
ctypes.memmove(block - block % ALIGN + ALIGN, copy_of_root(), SIZE)
libc.free(block)
# A child's table, in memory shared with the child: its address is right, but it belongs to the child.
shared = place(SHARED)
if os.fork() == 0:
    ctypes.memmove(shared, copy_of_root(shared), SIZE)
    os._exit(0)
os.wait()
# In a saved core that is mapped at the address where its process had it.
with open("saved.core", "wb+") as file:
    file.truncate(2 * ALIGN)
    mapped = place(PRIVATE, file.fileno())
    os.pwrite(file.fileno(), copy_of_root(mapped, 1), 0)
    ctypes.memset(mapped + ALIGN, 1, 1)  # a page of its own

ready = int(os.environ["TM_READY"])
os.write(ready, b"%d\n" % root)
for line in sys.stdin:
    os.write(ready, b"%d\n" % decoy(int(line.split()[1])))

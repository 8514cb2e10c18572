"""ctypes: blocks of the C library that no Python allocator gave, of known number and size, some of them free again; and what
the library itself says of its heaps.
"""

import ctypes
import os
import sys
import threading

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]


class MallInfo(ctypes.Structure):
    """struct mallinfo2"""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


def allocate(count, size):
    blocks = []
    for _ in range(count):
        block = libc.malloc(size)
        libc.memset(block, 1, size)
        blocks.append(block)
    return blocks


def free(blocks):
    for block in blocks:
        libc.free(block)


kept = allocate(30000, 200) + allocate(40, 1 << 20)
free(kept[0:20000:2])
del kept[0:20000:2]
in_thread = []


def work():
    in_thread.extend(allocate(20000, 300))
    free(in_thread[:4000:2])
    done.set()
    forever.wait()


done, forever = threading.Event(), threading.Event()
threading.Thread(target=work, daemon=True).start()
done.wait()
info = None
if hasattr(libc, "mallinfo2"):
    libc.mallinfo2.restype = MallInfo
    info = libc.mallinfo2()
said = ["%s=%d" % (name, getattr(info, name)) for name, _ in MallInfo._fields_] if info else []
os.write(int(os.environ["TM_READY"]), (" ".join(["ready"] + said) + "\n").encode())
sys.stdin.readline()

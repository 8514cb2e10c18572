"""mmap: shared anonymous memory, a file, and many small mappings."""

import os
import mmap
import tempfile

shared = mmap.mmap(-1, 40 << 20)
shared.write(b"x" * (40 << 20))
file = tempfile.TemporaryFile()
file.truncate(8 << 20)
mapped = mmap.mmap(file.fileno(), 8 << 20)
mapped.write(b"y" * (8 << 20))
small = [mmap.mmap(-1, 4096) for _ in range(200)]
for each in small:
    each[0] = 1
os.write(int(os.environ["TM_READY"]), b"ready\n")
input()

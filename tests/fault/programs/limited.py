"""Limits its address space to BYTES more than it has, and allocates until none is left, again and again: `limited.py BYTES`."""

import os
import resource
import sys

with open("/proc/self/statm") as file:
    now = int(file.read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (now + int(sys.argv[1]),) * 2)


def fill(make):
    kept = []
    try:
        while True:
            kept.append(make(len(kept)))
    except MemoryError:
        kept.clear()  # before anything else is asked for
    return True


filled = [
    fill(lambda n: bytearray(1 << 20)),
    fill(lambda n: bytearray(3000)),
    fill(lambda n: [n] * 400),
    fill(lambda n: {n: bytes(2000)}),
    fill(lambda n: bytes(100000)),
]
assert all(filled), filled
kept = [bytearray(100 + n % 1000) for n in range(3000)]
os.write(int(os.environ["TM_READY"]), b"went on\n")
sys.stdin.readline()

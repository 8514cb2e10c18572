"""Threads that never stop allocating. A line with `sizes` allocates blocks of these sizes and no others.

48 is the tuple of a call's arguments, and 8 and 56 the list of one item; CPython keeps them for the next such object.
"""

import os
import sys
import threading


def keep(kept):
    for n in range(200):
        kept[n] = bytearray(1000)  # sizes 48 56 1001
        kept[n] = bytes(500)  # sizes 48 533
        kept[n] = bytearray(7)  # sizes 8 48 56
        kept[n] = [None] * 100  # sizes 8 56 800
        kept[n] = bytes(200000)  # sizes 48 200033
        kept[n] = bytearray(15)  # sizes 16 48 56
        kept[n] = None


def nested(kept):
    keep(kept)


def work():
    kept = [None] * 256
    keep(kept)
    begun.release()
    while True:
        keep(kept)
        nested(kept)


begun = threading.Semaphore(0)
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
for _ in range(4):
    begun.acquire()
os.write(int(os.environ["TM_READY"]), b"at work\n")
sys.stdin.readline()

"""A recursion of 5000 calls, in which every frame keeps a block."""

import os
import sys
import threading

DEPTH = 5000
kept = [None] * DEPTH


def deeper(n):
    kept[n] = bytes(67)  # 5000 x 100
    if n:
        deeper(n - 1)


sys.setrecursionlimit(DEPTH + 100)
threading.stack_size(512 << 20)
thread = threading.Thread(target=deeper, args=(DEPTH - 1,))
thread.start()
thread.join()
os.write(int(os.environ["TM_READY"]), b"%d\n" % os.getpid())
sys.stdin.readline()

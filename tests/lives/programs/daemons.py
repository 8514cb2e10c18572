"""The main thread has ended and the interpreter is finalizing; daemon threads still hold their blocks."""

import atexit
import os
import sys
import threading

kept = [[] for _ in range(6)]
have_kept = threading.Barrier(7)
never = threading.Event()


def work(mine):
    for _ in range(50):
        mine.append(bytes(467))  # 300 x 500
    have_kept.wait()
    never.wait()


def look():
    kept.append([bytes(567) for _ in range(30)])  # 30 x 600
    os.write(int(os.environ["TM_READY"]), b"%d\n" % os.getpid())
    sys.stdin.readline()


atexit.register(look)
for mine in kept[:]:
    threading.Thread(target=work, args=(mine,), daemon=True).start()
have_kept.wait()

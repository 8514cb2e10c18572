"""Ends in the given way, with memory still in use: `ending.py exit|raise|os._exit|threads|kill|exec`."""

import atexit
import os
import signal
import sys
import threading
import weakref


class Late:
    def __del__(self):
        self.more = [bytearray(100) for _ in range(20)]


def late_callback(*_):
    return [bytearray(50) for _ in range(20)]


kept = [Late() for _ in range(50)]
kept.append(kept)  # a cycle, for the last collection
weakref.finalize(kept[0], late_callback)
atexit.register(late_callback)
sys.ours = kept


def for_ever():
    while True:
        [bytearray(n) for n in range(100)]


print("so far")
sys.stdout.flush()
way = sys.argv[1]
if way == "raise":
    raise ValueError("as asked")
elif way == "os._exit":
    os._exit(5)
elif way == "threads":
    for _ in range(3):
        threading.Thread(target=for_ever, daemon=True).start()
elif way == "kill":
    os.kill(os.getpid(), signal.SIGTERM)
elif way == "exec":
    os.execv(sys.executable, [sys.executable, "-c", "print('another')"])

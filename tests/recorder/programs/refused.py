"""Allocates while no file can be mapped, with the library that is the argument; or, with "child", has a child that allocates
and frees then. Says whether all went well."""

import ctypes
import os
import sys

library = ctypes.CDLL(sys.argv[1])
ready = int(os.environ["TM_READY"])
kept = [bytes(100) for _ in range(3000)]  # 3000 x 133


def say(text):
    os.write(ready, text.encode() + b"\n")
    sys.stdin.readline()


def work():
    """Of more sizes and places than the table has room for, and arenas come and go."""
    for turn in range(2):
        pool = [[bytes(n % 300), n] for n in range(20000)]
        places = [eval("lambda: [bytes(%d)]" % n)() for n in range(400)]
        del pool, places
    return len(kept)


say("begins")
if "child" in sys.argv:
    child = os.fork()
    if child == 0:
        library.fail_maps(1)
        os._exit(0 if work() == 3000 else 9)
    say("%d" % os.waitpid(child, 0)[1])
else:
    library.fail_maps(1)
    say("%d" % (work() - 3000))

"""Forks argv[2] times while threads of the library argv[1] allocate; each child keeps something and prints its number."""

import ctypes
import os
import sys

ready = int(os.environ["TM_READY"])
ctypes.CDLL(sys.argv[1]).begin_storm(3)
kept = [bytes(467) for _ in range(70)]
for number in range(int(sys.argv[2])):
    if os.fork() == 0:
        of_child = [bytes(567) for _ in range(80)]
        del kept[number:]
        os.write(ready, b"%d %d\n" % (os.getpid(), number))
        os.read(0, 1)
        os._exit(0)
os.read(0, 1)

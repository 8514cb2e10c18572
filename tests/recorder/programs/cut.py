"""Cuts its own file, and then forks in C, in a thread without the lock. Says how many children went well; waits."""

import ctypes
import glob
import os
import sys

library = ctypes.CDLL(sys.argv[1])
kept = [bytes(n) for n in range(3000)]
(path,) = glob.glob(os.environ["TRACEMORTEM_FILE"] + "/*")
os.truncate(path, 0)
more = [bytes(n) for n in range(30000)]
good = library.fork_and_exec(20)
more = [bytes(n) for n in range(30000)]
os.write(int(os.environ["TM_READY"]), b"%d\n" % good)
sys.stdin.readline()

"""Forks a child that runs no Python for a while; the parent changes its own table meanwhile. Says the child's process id
when the child is back in Python; then forks and execs in C, also when tracing has stopped. The library is the argument."""

import ctypes
import os
import signal
import sys

library = ctypes.PyDLL(sys.argv[1])
ready = int(os.environ["TM_READY"])
kept = [bytes(100) for _ in range(3000)]  # 3000 x 133
reading, writing = os.pipe()
child = library.fork_idle(reading)
if child == 0:
    more = [bytearray(5000) for _ in range(50)]  # 50 x 5001
    os.write(ready, b"%d\n" % os.getpid())
    while True:
        signal.pause()
del kept
others = [bytes(n) for n in range(30000)]
os.write(writing, b"x")
sys.stdin.readline()
before = os.listdir(os.environ["TRACEMORTEM_FILE"])
good = library.fork_and_exec(200)
same = before == os.listdir(os.environ["TRACEMORTEM_FILE"])
os.write(ready, b"%d %d\n" % (good, same))
sys.stdin.readline()
from tracemortem import _tracer

_tracer.stop()
good = library.fork_and_exec(20)
os.write(ready, b"%d %d\n" % (good, before == os.listdir(os.environ["TRACEMORTEM_FILE"])))
sys.stdin.readline()

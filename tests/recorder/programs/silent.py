"""Forks a child that waits for SIGUSR1, and then frees and makes arenas, says so, and waits for its end. Says the child's
process id. With "raw" the child is made without fork()'s handlers; with "stopped" nothing is recorded."""

import ctypes
import os
import signal
import sys

library = ctypes.PyDLL(sys.argv[1])
ready = int(os.environ["TM_READY"])
kept = [bytes(100) for _ in range(100000)]
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
if "stopped" in sys.argv:
    from tracemortem import _tracer

    _tracer.stop()
child = library.raw_fork() if "raw" in sys.argv else os.fork()
if child == 0:
    signal.sigtimedwait([signal.SIGUSR1], 300)
    del kept
    for turn in range(3):
        more = [bytes(300) for _ in range(20000)]
        del more
    os.write(ready, b"done\n")
    signal.sigtimedwait([signal.SIGUSR2], 300)
    os._exit(0)
text = b"%d\n" % child
os.write(ready, text)
os.read(0, 1)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)

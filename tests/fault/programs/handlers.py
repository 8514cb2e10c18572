"""Forks between handlers of the library argv[1], registered before the tracer's. Prints: first the child, then the parent."""

import ctypes
import os
import sys

ready = int(os.environ["TM_READY"])
library = ctypes.CDLL(sys.argv[1])
library.begin_handling()
import tracemortem  # noqa: E402

tracemortem.start(3)
library.allocate_before()
reader, writer = os.pipe()
if os.fork() != 0:  # here
    os.read(reader, 1)
os.write(ready, b"%d\n" % os.getpid())
os.write(writer, b"1")
os.read(0, 1)
os._exit(0)

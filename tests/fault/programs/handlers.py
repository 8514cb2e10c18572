"""Forks between handlers of the library argv[1], which were there before the tracer; the child tells first, then the parent."""

import ctypes
import os
import sys

ready = int(os.environ["TM_READY"])
library = ctypes.CDLL(sys.argv[1])
library.begin_handling()
import tracemortem  # noqa: E402

tracemortem.start(3)
library.allocate_before()
told, tell = os.pipe()
if os.fork() != 0:  # here
    os.read(told, 1)
os.write(ready, b"%d\n" % os.getpid())
os.write(tell, b"1")
os.read(0, 1)
os._exit(0)

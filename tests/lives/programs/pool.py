"""C threads report blocks while a Python thread waits for them with the interpreter's lock: argv[1] has the module pool.

With argv[2] "hang" the first report says that it is ready. Stock tracemalloc up to 3.12 never gets any further: it takes
the lock for each. Else the threads end, and then tracing is started and stopped while they report.
"""

import os
import sys
import threading
import tracemalloc

sys.path.insert(0, sys.argv[1])

import pool  # noqa: E402

ready = int(os.environ["TM_READY"])
kept = [bytes(9000 + i) for i in range(100)]
if sys.argv[2:] == ["hang"]:
    pool.run(100, 100, 1000, ready)
    os.write(ready, b"not hung\n")
    sys.stdin.readline()

pool.run(5000, 100, 1000, -1)
os.write(ready, b"ready\n")
sys.stdin.readline()

stopping = False


def toggle():
    while not stopping:
        tracemalloc.stop()
        tracemalloc.start(5)


thread = threading.Thread(target=toggle)
thread.start()
for _ in range(30):
    pool.run(500, 0, 100, -1)
stopping = True
thread.join()
os.write(ready, b"survived\n")
sys.stdin.readline()

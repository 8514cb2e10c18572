"""Forks a child that keeps more blocks and then waits until it is killed; says its process id. With "daemon" it is the
child of a child, which closes all descriptors and goes elsewhere, and then allocates a lot. With "gone" the folder of the
files is removed before."""

import os
import shutil
import signal
import sys

ready = int(os.environ["TM_READY"])
kept = [bytes(100) for _ in range(3000)]  # 3000 x 133

if "gone" in sys.argv:
    shutil.rmtree(os.environ["TRACEMORTEM_FILE"])


def become_daemon():
    if os.fork() != 0:
        os._exit(0)
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
    os.chdir("/")
    for descriptor in range(5000):
        if descriptor != ready:
            try:
                os.close(descriptor)
            except OSError:
                pass
    for _ in range(3):
        os.open("/dev/null", os.O_RDWR)
    # Whatever number the file had is another file's now.
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in range(900, 1020):
        os.dup2(null, descriptor)


child = 0
if "daemon" in sys.argv:
    if os.fork() == 0:
        become_daemon()
    else:
        child = -1
else:
    child = os.fork()
if child == 0:
    more = [bytearray(5000) for _ in range(50)]  # 50 x 5001
    grown = [[bytes(n % 600), n] for n in range(100000)] if "daemon" in sys.argv else None
    os.write(ready, b"%d\n" % os.getpid())
    while True:
        signal.pause()
sys.stdin.readline()

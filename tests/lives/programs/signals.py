"""A signal handler that allocates, called in the middle of Python code."""

import os
import signal
import sys

kept = []


def handler(number, frame):
    kept.append(bytes(267))  # 70 x 300


signal.signal(signal.SIGUSR1, handler)
for i in range(70):
    os.kill(os.getpid(), signal.SIGUSR1)
    kept.append(bytes(467))  # 70 x 500
os.write(int(os.environ["TM_READY"]), b"%d\n" % os.getpid())
sys.stdin.readline()

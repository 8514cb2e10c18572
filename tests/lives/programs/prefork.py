"""A server that loads its data and then forks workers. Each worker goes on alone; one is replaced by a new program."""

import os
import sys

ready = int(os.environ["TM_READY"])
data = [bytes(1967) for _ in range(80)]
workers = []


def serve(number):
    requests = [bytes(467) for _ in range(10 * number)]
    del data[: 20 * number]
    os.write(ready, b"%d\n" % os.getpid())
    sys.stdin.read()
    return requests


for n in range(1, 4):
    pid = os.fork()
    if pid == 0:
        if n == 3:
            os.execv(sys.executable, [sys.executable, os.path.join(os.path.dirname(__file__), "replaced.py")])
        serve(n)
        os._exit(0)
    workers.append(pid)
os.write(ready, b"%d\n" % os.getpid())
sys.stdin.readline()
for pid in workers:
    os.kill(pid, 9)
    os.waitpid(pid, 0)

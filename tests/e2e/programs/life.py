"""Allocates in a parent, forks, allocates in the child too, and both wait. Says both pids."""

import os
import sys

before = [bytes(2967) for _ in range(100)]  # before
ready = int(os.environ["TM_READY"])
child = os.fork()
if child == 0:
    after = [bytes(3967) for _ in range(50)]  # in the child
    before[50:] = []
    os.write(ready, b"%d %d\n" % (os.getppid(), os.getpid()))
    while os.getppid() != 1:
        os.read(0, 1)
        break
else:
    sys.stdin.readline()
    os.waitpid(child, 0)

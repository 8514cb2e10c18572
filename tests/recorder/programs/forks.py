"""Forks so many children, which work and end, and says how many of them did right. Waits before and after."""

import os
import sys

kept = [bytes(100) for _ in range(3000)]  # 3000 x 133


def say(text):
    os.write(int(os.environ["TM_READY"]), text.encode() + b"\n")
    sys.stdin.readline()


say("ready")
right = 0
for number in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        own = [bytes(n) for n in range(300)]
        os._exit(0 if len(own) + len(kept) == 3300 else 9)
    right += os.waitpid(child, 0)[1] == 0
say("%d of %s" % (right, sys.argv[1]))

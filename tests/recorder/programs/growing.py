"""Keeps ever more blocks, at most some 400 MB of them, until it is killed."""

import os
import time

os.write(int(os.environ["TM_READY"]), b"%d\n" % os.getpid())
kept = []
while True:
    if len(kept) < 4000000:
        kept += [bytes(40) for _ in range(20000)]
    time.sleep(0.005)

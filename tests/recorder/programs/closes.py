"""Has a child that closes its descriptors before it records, and then uses their numbers for others, while the parent goes on.
Says the child's process id, and whether the descriptors stayed the child's; waits."""

import os
import sys
import time

ready = int(os.environ["TM_READY"])
kept = [bytearray(50000) for _ in range(300)]
telling, told = os.pipe()
child = os.fork()
if child == 0:
    os.dup2(told, 3)
    os.closerange(4, 4096)
    null = os.open("/dev/null", os.O_RDWR)
    numbers = range(900, 1020)
    for descriptor in numbers:
        os.dup2(null, descriptor)
    time.sleep(0.3)
    for turn in range(20):
        work = [[bytes(n % 600), n] for n in range(10000)]
    right = sum(os.fstat(descriptor).st_rdev == os.fstat(null).st_rdev for descriptor in numbers)
    os.write(3, b"%d of %d\n" % (right, len(numbers)))
    time.sleep(300)
    os._exit(0)
del kept
others = [[bytes(n % 600), n] for n in range(100000)]
os.write(ready, b"%d %s" % (child, os.read(telling, 100)))
sys.stdin.readline()
os.kill(child, 9)

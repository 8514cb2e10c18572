"""The program that replaces a worker by exec: traced from its own beginning."""

import os
import sys

kept = [bytes(667) for _ in range(33)]  # 33 x 700
os.write(int(os.environ["TM_READY"]), b"%d\n" % os.getpid())
sys.stdin.read()

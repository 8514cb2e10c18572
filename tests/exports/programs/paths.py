"""Allocates from 2 ** DEPTH tracebacks: each of DEPTH functions calls the next one from two lines."""

import os
import sys

depth = int(sys.argv[1])
source = []
for number in range(depth):
    call = "step%d()" % (number + 1) if number + 1 < depth else "kept.append(bytes(40))"
    source.append("def step%d():\n    %s\n    %s\n" % (number, call, call))
names = {"kept": []}
exec(compile("\n".join(source), "/srv/paths.py", "exec"), names)
names["step0"]()
os.write(int(os.environ["TM_READY"]), b"ready\n")
sys.stdin.readline()

"""Compiles functions under ever new names, and calls each once. Every thousandth keeps the block that it made. Prints the
number of blocks it keeps, and waits."""

import os
import sys

KEPT_OF = 1000

kept = []
for number in range(int(sys.argv[1])):
    source = "def make_%d():\n    x = %d\n    return bytes(5000 + x)\n" % (number, number // KEPT_OF)
    names = {}
    exec(compile(source, "generated_%d.py" % number, "exec"), names)
    block = names["make_%d" % number]()
    names.clear()  # a function and its globals hold each other
    if number % KEPT_OF == 0:
        kept.append(block)
del block

os.write(int(os.environ["TM_READY"]), b"%d\n" % len(kept))
sys.stdin.readline()

"""A program whose trace table never pauses and is collected all the time, and whose every row can be checked by itself.

A block that /truth/N.py allocates at line N has N + 33 bytes, and was called for by /middle/N.py at line N. Sites live for a
moment only: with a small TRACEMORTEM_RECORDS their records, and those of their nodes, code objects and names, are used again
for others many times a second.
"""

import os

LINES = 300  # from 2 on: of 1 byte there is one object only
WAYS = 64  # to each of them: as many tracebacks
KEPT = 400
kept = [None] * KEPT
x = b"x"
state = 7


def chance(most):
    """A number below it; the same ones in each run."""
    global state
    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
    return (state >> 8) % most


def make(number):
    """The code that allocates a block of its own size, below a frame of the same number."""
    newlines = "\n" * (number - 1)
    inner = compile(newlines + "kept[at] = x * %d" % number, "/truth/%d.py" % number, "exec")
    outer = compile(newlines + "exec(inner, globals())", "/middle/%d.py" % number, "exec")
    return outer, inner


exec("ways = [\n" + "lambda outer: exec(outer, globals()),\n" * WAYS + "]")
codes = [None, None] + [make(number) for number in range(2, LINES)]


def step(number):
    global at, inner
    at = chance(KEPT)
    outer, inner = codes[number]
    ways[chance(WAYS)](outer)


for number in range(2, LINES):
    step(number)
os.write(int(os.environ["TM_READY"]), b"ready\n")
while True:
    for _ in range(500):
        step(2 + chance(LINES - 2))
    for _ in range(10):  # their code objects and names die, too
        number = 2 + chance(LINES - 2)
        codes[number] = make(number)

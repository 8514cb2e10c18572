"""Functions come and go in memory for which the map has no leaves: their code objects have no mark, and their end is not seen.

Loads the library argv[1], whose switch keeps the tracer from getting leaves, and starts tracing itself.
"""

import ctypes
import gc
import os
import sys

import tracemortem


def make(number):
    space = {}
    exec(compile("def f(b):\n" + "\n" * number + "    return b(200)\n", "file%d.py" % number, "exec"), space)
    return space.pop("f")


functions = [make(number) for number in range(12000)]
warm = [bytearray(200) for _ in range(3000)]
gc.collect()
gc.disable()
tracemortem.start(2)
warm_too = [bytearray(200) for _ in range(3000)]
del warm_too
switch = ctypes.c_int.in_dll(ctypes.CDLL(sys.argv[1]), "fail_large_ones")
switch.value = 1
answered = wrong = 0
for number in range(1500, 11500, 40):
    function, functions[number] = functions[number], None
    for _ in range(2):
        block = function(bytearray)
    address = id(function.__code__)
    del function, block
    pool = [make(number // 40) for _ in range(40)]
    function = next((other for other in pool if id(other.__code__) == address), pool[0])
    block = function(bytearray)
    traceback = tracemortem.get_object_traceback(block)
    if traceback is not None:
        found = traceback[-1].filename, traceback[-1].lineno
        answered += 1
        wrong += found not in (("file%d.py" % (number // 40), number // 40 + 2), ("<unknown>", 0))
    del function, block
switch.value = 0
os.write(int(os.environ["TM_READY"]), b"%d %d\n" % (answered, wrong))
sys.stdin.readline()

"""Functions come and go in memory which the map has no leaves for: nobody marks their code objects, or sees them die.

Loads the library which it is told of, whose switch makes the tracer get no leaves, and traces by itself.
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
told = wrong = 0
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
        told += 1
        wrong += found not in (("file%d.py" % (number // 40), number // 40 + 2), ("<unknown>", 0))
    del function, block
switch.value = 0
os.write(int(os.environ["TM_READY"]), b"%d %d\n" % (told, wrong))
sys.stdin.readline()

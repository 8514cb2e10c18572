"""generated.py SEED LEAST FOLDER ORACLE: runs a program of the oracle until it keeps LEAST objects, says so, and waits.

The same seed allocates the same, whatever profile it is traced in.
"""

import gc
import importlib
import os
import sys

seed, least, folder, oracle = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
sys.path[:0] = [folder, oracle]
os.chdir(folder)

import generate  # noqa: E402
import runtime  # noqa: E402

# Generated here too, since the sources of exec() are not in the folder. The modules come out as they are.
names, sources = generate.write_program(folder, seed)
runtime.code[:] = zip(names, sources)

gc.disable()  # when it runs depends on what else was allocated
runtime.rng.seed(seed)
sys.setrecursionlimit(5000)
for name in generate.MODULES:
    importlib.import_module(name)
while len(runtime.kept) < least:
    runtime.call(runtime.number(len(runtime.F)) - 1)
print("ready", flush=True)
sys.stdin.read()

"""Objects of three interpreters: each has its own module __main__ with 300 instances of its own class."""

import os
import sys

try:
    import _interpreters as interpreters  # from 3.13 on
except ImportError:
    import _xxsubinterpreters as interpreters

CODE = """
class Inner:
    pass

kept = [Inner() for _ in range(300)]
for number, item in enumerate(kept):
    item.label = "inner %d" % number
"""

kept_interpreters = [interpreters.create() for _ in range(2)]
for interpreter in kept_interpreters:
    interpreters.run_string(interpreter, CODE)
exec(CODE)
os.write(int(os.environ["TM_READY"]), b"ready\n")
sys.stdin.readline()

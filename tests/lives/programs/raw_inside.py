"""A second interpreter in the main one's thread gets blocks from the raw allocator, one for each lock."""

import os
import sys

if sys.version_info >= (3, 13):
    import _interpreters as interpreters
else:
    import _xxsubinterpreters as interpreters

CODE = """
import _thread
def allocate():
    global locks
    locks = [_thread.allocate_lock() for _ in range(3000)]
allocate()
"""
inside = interpreters.create()
interpreters.run_string(inside, "exec(compile(%r, 'inside.py', 'exec'), globals())" % CODE)
os.write(int(os.environ["TM_READY"]), b"%d\n" % os.getpid())
sys.stdin.readline()

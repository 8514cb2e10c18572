"""Interpreters beside the main one, each with its own lock if CPython has such locks. Their lines are recorded, too."""

import os
import sys
import threading

if sys.version_info >= (3, 13):
    import _interpreters as interpreters
else:
    import _xxsubinterpreters as interpreters

CODE = """
kept = [None] * 60
for i in range(60):
    kept[i] = bytes(867)
for i in range(30):
    kept[i] = None
"""  # the fourth line in "inside.py" has 3 x 30 x 900
RUN = "exec(compile(%r, 'inside.py', 'exec'), globals())" % CODE

everyone = [interpreters.create() for _ in range(3)]
threads = [threading.Thread(target=interpreters.run_string, args=(one, RUN)) for one in everyone]
for thread in threads:
    thread.start()
mine = [bytes(767) for _ in range(50)]  # 50 x 800
for thread in threads:
    thread.join()
gone = interpreters.create()
interpreters.run_string(gone, "import sys; kept = [bytes(9967) for _ in range(9)]")
interpreters.destroy(gone)
os.write(int(os.environ["TM_READY"]), b"%d\n" % os.getpid())
sys.stdin.readline()

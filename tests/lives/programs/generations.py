"""A child of a child of a child. Each one learns many new lines, meets those of its parents again, and forgets most of them.

The lines of generation <g> are in the file made-<g>.py. Each makes one block.
"""

import os
import sys

LINES = 3000
GENERATIONS = 4
kept = []
programs = []
for generation in range(GENERATIONS):
    if generation > 0 and os.fork() != 0:
        os.wait()
        os._exit(0)
    programs.append(compile("blocks.append(bytes(300))\n" * LINES, "made-%d.py" % generation, "exec"))
    for known in programs:
        blocks = []
        exec(known)
        kept.append(blocks[generation::GENERATIONS])
        del blocks
os.write(int(os.environ["TM_READY"]), b"%d\n" % os.getpid())
sys.stdin.read()

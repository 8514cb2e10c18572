"""sizes.py ROWS: keeps blocks of known sizes, for each of ROWS files the same, says so, and waits.

The files are "1-0001.py" (many small blocks), "2-0001.py" (sizes of all kinds), "3-0001.py" (grown by realloc), "4-0001.py"
(of threads).
"""

import sys
import threading

SOURCES = {
    1: "kept = [bytes(40 + i % 400) for i in range(3000)]",
    2: "kept = [bytes(1 << i % 19) for i in range(60)] + [bytearray(0) for i in range(50)]",
    3: "kept = [bytearray() for i in range(60)]\nfor one in kept:\n    for step in range(60):\n        one.extend(b'x' * 97)",
    4: "kept = []\nthread = threading.Thread(target=lambda: kept.extend(bytes(700) for i in range(300)))\n"
    "thread.start()\nthread.join()",
}

kept = []
for row in range(int(sys.argv[1])):
    for kind, source in SOURCES.items():
        space = {"threading": threading}
        exec(compile(source, "%d-%04d.py" % (kind, row), "exec"), space)
        kept.append(space["kept"])
print("ready", flush=True)
sys.stdin.read()

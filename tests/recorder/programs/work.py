"""Allocates, says that it is ready, waits, allocates a lot more, and says a digest of all results. Waits, then ends.

With "default" it takes SIGXFSZ as C programs do. With a number it ends with that status."""

import hashlib
import json
import os
import signal
import sys

if "default" in sys.argv:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)


def say(text):
    os.write(int(os.environ["TM_READY"]), text.encode() + b"\n")
    sys.stdin.readline()


digest = hashlib.sha256()
first = [bytearray(1000) for _ in range(3000)]  # 3000 x 1001
say("ready %s" % signal.getsignal(signal.SIGBUS))


def deep(n, size):
    return [bytes(size)] + deep(n - 1, size) if n else []


kept = []
for n in range(300):
    scope = {}
    exec("def made%d(a):\n    return [a + %d] * 3\n" % (n, n), scope)
    kept.append(scope["made%d" % n](n))
    digest.update(repr(kept[-1]).encode())
kept.append(json.loads(json.dumps({"key%d" % n: [n, str(n), {n: n + 0.5}] for n in range(60000)})))
digest.update(hashlib.sha256(json.dumps(kept[-1], sort_keys=True).encode()).digest())
del first[1000:]
kept.append(deep(200, 5000))
kept.append([bytearray(b"x" * n) for n in range(20000)])
digest.update(b"%d" % sum(map(len, kept[-1])))
say("digest %s" % digest.hexdigest())
if sys.argv[-1].isdigit():
    sys.exit(int(sys.argv[-1]))

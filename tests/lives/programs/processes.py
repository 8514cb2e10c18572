"""Children by multiprocessing: argv[1] is how they start."""

import multiprocessing
import os
import sys

KEPT = []


def work(ready, wait):
    for _ in range(25):
        KEPT.append(bytes(367))  # 25 x 400
    ready.send(os.getpid())
    wait.recv()


if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    mine, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, theirs))
    process.start()
    os.write(int(os.environ["TM_READY"]), b"%d\n" % mine.recv())
    sys.stdin.readline()
    mine.send(None)
    process.join()

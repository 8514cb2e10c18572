"""Threads that wait in known places. Writes what faulthandler says of them to the file of its argument, then waits.

What the main thread does while it waits is written as faulthandler saw it, but for its newest lines.
"""

import faulthandler
import os
import sys
import threading


class Worker:
    def __init__(self, number):
        self.number = number
        self.ready, self.stop = threading.Event(), threading.Event()

    def run(self):
        secret = "secret of %d" % self.number

        def inner(depth):
            if depth:
                return inner(depth - 1)
            self.ready.set()
            [self.stop.wait() for _ in range(1)]
            return secret

        return inner(self.number)


def numbers(worker):
    # fmt: off
    yield worker.run(
    )
    # fmt: on


def in_generator(worker):
    for item in numbers(worker):
        print(item)


def main(path):
    workers = [Worker(number) for number in range(3)]
    for worker in workers:
        threading.Thread(target=in_generator, args=(worker,), daemon=True).start()
        worker.ready.wait()
    # Events are set a moment before the thread waits for the other one.
    while not all(worker.stop._cond._waiters for worker in workers):
        pass
    with open(path, "w") as file:
        faulthandler.dump_traceback(file)
    os.write(int(os.environ["TM_READY"]), b"%d\n" % threading.get_ident())
    sys.stdin.readline()


main(sys.argv[1])

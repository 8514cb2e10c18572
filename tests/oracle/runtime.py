"""What the modules of a generated program call: keep, drop, and random numbers from the seed."""

import random
import threading

F = []  # the modules' functions
kept = []  # what is alive
adopted = {}
rng = random.Random()
code = []  # (name, source) for exec()
depth = 0
least = 0  # how many were kept after the last drop
idle = threading.Lock()


def number(limit):
    return rng.randrange(limit) + 1


def chance(of):
    return rng.randrange(of) == 0


def keep(thing):
    kept.append(thing)


def adopt(thing, key):
    adopted[key, len(thing)] = thing


def drop(count):
    """Drop at most half of what was kept since the last drop, so that the program grows with any seed."""
    global least
    count = min(count, max(0, len(kept) - least) // 2)
    forget(count)
    least = len(kept)


def forget(count):
    for _ in range(count):
        index = rng.randrange(len(kept))
        kept[index] = kept[-1]
        kept.pop()


def call(index):
    global depth
    if depth < 4:
        depth += 1
        F[index]()
        depth -= 1


def run_code(index, n):
    name, source = code[index]
    space = {"n": n}
    exec(compile(source, name, "exec"), space)
    return space


def start_idler():
    """A thread that has allocated and waits until the program ends."""

    def wait():
        mine = [bytes(100), bytearray(50)]
        ready.set()
        with idle:
            return mine

    ready = threading.Event()
    threading.Thread(target=wait, daemon=True).start()
    ready.wait()

"""Works in threads until its standard input ends, and says whether each round of the work had the same result.

The work meets what a switch could disturb: small and large blocks, resizes, free lists, exceptions, generators, the
collector, C libraries that call Python back, extension modules being loaded, children by fork().
"""

import gc
import hashlib
import itertools
import json
import os
import sys
import threading
import warnings
import zlib

warnings.simplefilter("ignore")  # from 3.12 on, of fork() beside threads


def tree(depth):
    return [depth] if depth == 0 else [tree(depth - 1), {"depth": depth}, tree(depth - 1)]


def fails(number):
    try:
        return {}[number]
    except KeyError as error:
        return str(error)


def grow():
    items, text = [], bytearray()
    for number in range(400):
        items.append(float(number) / 3)
        text += b"%d" % number
    return sum(items), bytes(text)


def work():
    digest = hashlib.sha256()
    digest.update(json.dumps(tree(5), sort_keys=True).encode())
    digest.update(repr([fails(number) for number in range(50)]).encode())
    digest.update(repr(grow()).encode())
    digest.update(zlib.compress(bytes(range(256)) * 200))
    digest.update(repr(sorted(range(300), key=lambda number: str(number * 7919 % 311))).encode())
    digest.update(repr(list(itertools.islice((x * x for x in itertools.count()), 100))).encode())
    return digest.hexdigest()


def load_a_library():
    """The dynamic linker at work: a module that comes and stays is found again by its file."""
    for name in ("_csv", "_heapq", "_bisect", "_random"):
        sys.modules.pop(name, None)
        __import__(name)


def fork():
    child = os.fork()
    if child == 0:
        os._exit(0 if work() == EXPECTED else 1)
    return os.waitpid(child, 0)[1] == 0


EXPECTED = work()
rounds = [0, 0, 0]
wrong = []
ended = threading.Event()


def run(index):
    while not ended.is_set():
        if work() != EXPECTED:
            wrong.append(index)
        rounds[index] += 1
        if index == 1:
            load_a_library()
            gc.collect()
        if index == 2 and rounds[index] % 20 == 0 and not fork():
            wrong.append("a child")


threads = [threading.Thread(target=run, args=(index,)) for index in range(len(rounds))]
for thread in threads:
    thread.start()
os.write(1, b"ready\n")
sys.stdin.read()
ended.set()
for thread in threads:
    thread.join()
print("wrong: %s, all went on: %s" % (wrong, min(rounds) > 0))

"""Keeps some blocks, and makes and drops others until it is killed: of all kinds, from many places."""

import os
import random
import sys
import threading

kept = [bytes(100) for _ in range(4000)]  # 4000 x 133
large = [bytearray(5000) for _ in range(50)]  # 50 x 5001


def places(n):
    scope = {}
    exec("def place%d(size):\n    return [bytes(size) for _ in range(7)]\n" % n, scope)
    return scope["place%d" % n]


def churn(seed):
    chance = random.Random(seed)
    pool = {}
    while True:
        for _ in range(2000):
            key = chance.randrange(3000)
            pool[key] = chance.choice([bytearray, bytes, list, str])(chance.choice([(), b"ab", b"c" * 700]))
            if chance.random() < 0.01:
                pool[key] = places(chance.randrange(50))(chance.randrange(9000))
        pool.clear()


def fork_now_and_then():
    while True:
        child = os.fork()
        if child == 0:
            scratch = [bytes(n) for n in range(500)]
            os._exit(len(scratch) - 500)
        os.waitpid(child, 0)


for seed in (1, 2):
    threading.Thread(target=churn, args=(seed,), daemon=True).start()
os.write(int(os.environ["TM_READY"]), b"ready\n")
if "forks" in sys.argv:
    fork_now_and_then()
churn(3)

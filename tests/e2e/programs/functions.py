"""Allocates in a method, in a nested function and at module level, says the addresses, and waits."""

import os
import sys


class Basket:
    def __init__(self):
        self.goods = []

    def add(self):
        self.goods.append(bytes(100000))
        return self.goods[-1]


def outer():
    def inner():
        return bytes(200000)

    return inner()


kept = [Basket().add(), outer(), bytes(300000)]
os.write(int(os.environ["TM_READY"]), b"%d %d %d\n" % tuple(map(id, kept)))
sys.stdin.readline()

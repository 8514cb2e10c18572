"""Allocates in a method, in a nested function and at module level, says the addresses, and waits."""

import time


class Basket:
    def __init__(self):
        self.goods = []

    def add(self):
        self.goods.append(bytearray(100000))
        return self.goods[-1]


def outer():
    def inner():
        return bytearray(200000)

    return inner()


kept = [Basket().add(), outer(), bytearray(300000)]
print(*map(id, kept), flush=True)
time.sleep(3600)

"""Greenlets: stacks that are switched under the interpreter, at many depths."""

import os
import sys

import greenlet

kept = []


def down(n, other):
    if n:
        kept.append(bytes(167))  # 60 x 200
        down(n - 1, other)
        kept.append(bytes(267))  # 60 x 300
    else:
        for _ in range(25):
            kept.append(bytes(367))  # 50 x 400
            other[0].switch()


main = greenlet.getcurrent()
first, second = [None], [None]
one, two = greenlet.greenlet(down), greenlet.greenlet(down)
first[0], second[0] = one, two


def run():
    one.switch(30, second_or_main)
    return 0


class Turn:
    """Switch to the other greenlet, or back to the main one when this one is done."""

    def __init__(self, other):
        self.other = other

    def switch(self):
        if not self.other.dead:
            if self.other:
                self.other.switch()
            else:
                self.other.switch(30, [Turn(one)])


second_or_main = [Turn(two)]
run()
while not (one.dead and two.dead):
    for each in (one, two):
        if not each.dead:
            each.switch()
os.write(int(os.environ["TM_READY"]), b"%d\n" % os.getpid())
sys.stdin.readline()

"""Objects in containers of all kinds: writes their addresses, and then says of pairs of addresses whether gc knows the first
to refer to the second.
"""

import collections
import ctypes
import functools
import gc
import json
import os
import sys
import types

gc.disable()


class Plain:
    def __init__(self, value):
        self.value = value


class Slotted:
    __slots__ = ("first", "second")

    def __init__(self, value):
        self.first, self.second = None, value


def closure(value):
    def inner():
        return value

    return inner


def generate(value):
    while True:
        yield value


def started(value):
    generator = generate(value)
    next(generator)
    return generator


Pair = collections.namedtuple("Pair", "left right")
MAKE = {
    "list": lambda value: [None, value],
    "tuple": lambda value: (0, value),
    "dict": lambda value: {"key": value},
    "set": lambda value: {value},
    "deque": lambda value: collections.deque([0] * 70 + [value]),
    "plain": Plain,
    "slotted": Slotted,
    "namedtuple": lambda value: Pair(value, None),
    "closure": closure,
    "generator": started,
    "partial": lambda value: functools.partial(print, value),
    "method": lambda value: types.MethodType(print, value),
    "namespace": lambda value: types.SimpleNamespace(attribute=value),
    "exception": lambda value: ValueError(value),
    "large dict": lambda value: dict({i: i for i in range(1000)}, key=value),
    "mappingproxy": lambda value: types.MappingProxyType({"key": value}),
    "ordereddict": lambda value: collections.OrderedDict(key=value),
    "defaultdict": lambda value: collections.defaultdict(list, key=value),
}


class Leaf:
    pass


kept = {}
leaves = {}
for outer in MAKE:
    for inner in ("list", "slotted"):
        leaf = Leaf()
        held = Plain(MAKE[inner](leaf))  # what a set can have
        leaves[outer + " of " + inner] = id(leaf)
        kept[outer + " of " + inner] = MAKE[outer](held)
del leaf, held


def main():
    output = open(int(os.environ["TM_READY"]), "w", closefd=False)
    output.write(json.dumps(leaves) + "\n")
    output.flush()
    for line in sys.stdin:
        known = [
            any(id(thing) == referent for thing in gc.get_referents(ctypes.cast(holder, ctypes.py_object).value))
            for holder, referent in json.loads(line)
        ]
        output.write(json.dumps(known) + "\n")
        output.flush()


main()

"""Leaks on purpose, of each kind, at lines that the tests know by their comments. Automatic collection is off.

The references that C code would forget to release are made by ctypes: Py_IncRef(), and blocks from PyMem_RawMalloc() and
PyMem_Malloc() whose pointers are dropped. Leaks of Python code are held: by a cache, an exception, a handler list, a
closure, a task.
"""

import asyncio
import ctypes
import functools
import gc
import os
import sys
import weakref

gc.disable()

api = ctypes.pythonapi
api.Py_IncRef.argtypes = [ctypes.py_object]
api.PyMem_RawMalloc.restype = api.PyMem_Malloc.restype = ctypes.c_void_p
api.PyMem_RawMalloc.argtypes = api.PyMem_Malloc.argtypes = [ctypes.c_size_t]
COUNT = 1000


class Plain:
    pass


class Slotted:
    __slots__ = ("value", "__weakref__")


def lose_dicts():
    for i in range(COUNT):
        api.Py_IncRef({"leaked": i, "inside": ["leaked string %d" % i]})  # lost dict


def lose_plain():
    for i in range(COUNT):
        item = Plain()  # lost plain
        item.value = "attribute %d" % i
        api.Py_IncRef(item)


def lose_slotted():
    for i in range(COUNT):
        item = Slotted()  # lost slotted
        item.value = i
        api.Py_IncRef(item)


def lose_bytes():
    for i in range(COUNT):
        api.Py_IncRef(b"leaked bytes %d" % i)  # lost bytes


def lose_raw():
    for i in range(COUNT):
        api.PyMem_RawMalloc(100)  # raw block
        api.PyMem_Malloc(200)  # mem block


def make_cycles():
    for i in range(COUNT):
        a, b = [i], {"other": None}  # cycle
        a.append(b)
        b["other"] = a


def make_weakly_known():
    known = []
    for i in range(COUNT):
        item = Slotted()  # weakly known
        item.value = item
        known.append(weakref.ref(item))
    return known


def count_too_often():
    kept = []
    for i in range(COUNT):
        item = {"extra": i}  # extra dict
        api.Py_IncRef(item)
        kept.append(item)
    return kept


# Leaks of the field: all are held, by something that nobody thinks of.


class Page:
    def __init__(self, number):
        self.content = "content of page %d" % number

    @functools.lru_cache(maxsize=None)
    def rendered(self, scale):
        return self.content * scale


def fail(payload):
    try:
        raise ValueError("the traceback holds the frame, and the frame the payload")
    except ValueError as error:
        return error


class Signal:
    def __init__(self):
        self.handlers = []

    def connect(self, handler):
        self.handlers.append(handler)


class Subscriber:
    def on_event(self):
        pass


def register(payload):
    def callback():
        return payload

    return callback


async def never_awaited(payload):
    await asyncio.sleep(0)
    return payload


def main():
    lose_dicts()
    lose_plain()
    lose_slotted()
    lose_bytes()
    lose_raw()
    make_cycles()


weakly_known = make_weakly_known()
extra = count_too_often()
main()

page = Page(1)
page.rendered(2)
held = {"lru_cache": id(page)}
del page
payload = ["payload of a traceback"]
errors = [fail(payload)]
held["traceback"] = id(payload)
changed = Signal()
subscriber = Subscriber()
changed.connect(subscriber.on_event)
held["handler"] = id(subscriber)
payload = ["payload of a closure"]
registry = {"callback": register(payload)}
held["closure"] = id(payload)
payload = ["payload of a task"]
tasks = {never_awaited(payload)}
held["task"] = id(payload)
held["extra"] = id(extra[500])
del payload, subscriber


def local_holder():
    only_here = ["held by a local variable"]
    addresses = dict(held, local=id(only_here))
    line = " ".join("%s=%d" % item for item in addresses.items())
    os.write(int(os.environ["TM_READY"]), line.encode() + b"\n")
    sys.stdin.readline()


local_holder()

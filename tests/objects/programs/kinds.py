"""Makes objects of some sixty kinds, and has a forked child write down what they are: the truth for the tests.

    kinds.py OUT [COUNT]     writes OUT and waits. The line that says it is ready has for each kind the address of an
                             object and its repr()

The child walks what its collector knows and all that is reachable from it, and writes for each object its address and its
type's full name, as JSON lines. It changes nothing of the parent, whose memory is what the child had at the fork.
"""

import array
import asyncio
import collections
import ctypes
import datetime
import decimal
import enum
import fractions
import functools
import gc
import io
import itertools
import json
import os
import re
import sys
import threading
import types
import uuid
import weakref

gc.disable()  # cycles stay: the tests look for them


class Plain:
    def __init__(self, number):
        self.number = number
        self.label = "label%d" % number


class Slotted:
    __slots__ = ("left", "right", "__weakref__")

    def __init__(self, left, right):
        self.left, self.right = left, right


class Both(Slotted):
    def __init__(self, left, right):
        super().__init__(left, right)
        self.extra = [left, right]


class MyDict(dict):
    pass


class MyList(list):
    pass


class MyStr(str):
    pass


class MyInt(int):
    pass


class MyTuple(tuple):
    pass


class MyException(Exception):
    pass


class Colour(enum.Enum):
    RED = 1
    BLUE = "blue"


class Meta(type):
    pass


class WithMeta(metaclass=Meta):
    pass


Point = collections.namedtuple("Point", "x y")


def closure(value):
    def inner():
        return value

    return inner


def generator(value):
    received = yield value
    yield received


async def coroutine():
    await asyncio.sleep(3600)


def raised():
    try:
        raise MyException("with a traceback")
    except MyException as error:
        return error


def many(count):
    K = {}
    K["int"] = [10**6 + i for i in range(count)]
    K["large int"] = [-(10**30) - i for i in range(20)]
    K["float"] = [i + 0.5 for i in range(count)]
    K["complex"] = [complex(i, i + 1) for i in range(20)]
    K["str"] = ["text number %d" % i for i in range(count)]
    K["latin"] = ["caf\xe9 %d" % i for i in range(20)]
    K["wide"] = ["\u20ac %d" % i for i in range(20)]
    K["astral"] = ["\U0001f40d %d" % i for i in range(20)]
    K["bytes"] = [b"bytes number %d" % i for i in range(count)]
    K["bytearray"] = [bytearray(b"x" * (i * 10 + 1)) for i in range(20)]
    K["tuple"] = [(i, str(i)) for i in range(count)]
    K["list"] = [[i, [str(i)]] for i in range(count)]
    K["dict"] = [{"number": i, i: "by number"} for i in range(count)]
    K["large dict"] = {"key %d" % i: i + 0.25 for i in range(1000)}
    K["set"] = [{"a%d" % i, "b%d" % i} for i in range(count)]
    K["large set"] = set("item %d" % i for i in range(1000))
    K["frozenset"] = [frozenset(("f%d" % i,)) for i in range(20)]
    K["plain"] = [Plain(i) for i in range(count)]
    K["plain with dict"] = [Plain(i) for i in range(20)]
    K["its dicts"] = [vars(plain) for plain in K["plain with dict"]]
    K["slotted"] = [Slotted("left%d" % i, [i]) for i in range(count)]
    K["both"] = [Both("left%d" % i, [i]) for i in range(20)]
    K["mydict"] = [MyDict(a=i) for i in range(20)]
    K["mylist"] = [MyList([i]) for i in range(20)]
    K["mystr"] = [MyStr("my text %d" % i) for i in range(20)]
    K["myint"] = [MyInt(10**9 + i) for i in range(20)]
    K["mytuple"] = [MyTuple((i,)) for i in range(20)]
    for item in K["mydict"] + K["mylist"] + K["mystr"] + K["myint"] + K["mytuple"]:
        item.attribute = "of a subclass"
    K["exception"] = [MyException("message %d" % i) for i in range(20)]
    K["raised"] = [raised() for i in range(5)]
    K["enum"] = list(Colour)
    K["class"] = [type("Made%d" % i, (object,), {"constant": i}) for i in range(20)]
    K["metaclass"] = [WithMeta() for i in range(20)]
    K["namedtuple"] = [Point(i, str(i)) for i in range(20)]
    K["closure"] = [closure("closed over %d" % i) for i in range(20)]
    K["lambda"] = [lambda x, y=i: (x, y) for i in range(20)]
    K["method"] = [plain.__init__ for plain in K["plain"][:20]]
    K["partial"] = [functools.partial(print, i) for i in range(20)]
    K["generator"] = [generator("yielded %d" % i) for i in range(20)]
    for item in K["generator"][:10]:
        next(item)
    K["coroutine"] = [coroutine() for i in range(5)]
    K["iterator"] = [iter([i]) for i in range(20)] + [iter({}), iter(()), iter(range(9)), iter("text")]
    K["itertools"] = [itertools.count(10**6), itertools.chain([1], [2]), itertools.cycle("ab")]
    K["map"] = [map(str, [i]) for i in range(20)] + [zip([1], [2]), enumerate([1]), filter(None, [1])]
    K["range"] = [range(i, 10**6) for i in range(20)]
    K["slice"] = [slice(i, 10**6 + i) for i in range(20)]
    K["weakref"] = [weakref.ref(item) for item in K["slotted"][:20]]
    K["weakref with callback"] = [weakref.ref(item, print) for item in K["slotted"][:5]]
    K["weak dicts"] = [weakref.WeakValueDictionary({1: K["plain"][0]}), weakref.WeakSet(K["slotted"][:3])]
    K["deque"] = [collections.deque(["d%d" % j for j in range(i * 40)]) for i in range(10)]
    K["bounded deque"] = collections.deque(("e%d" % i for i in range(1000)), maxlen=10)
    K["ordereddict"] = [collections.OrderedDict(a=i, b=str(i)) for i in range(20)]
    K["defaultdict"] = [collections.defaultdict(list, a=[i]) for i in range(20)]
    K["counter"] = collections.Counter("mississippi")
    K["array"] = [array.array("d", [i] * (i + 1)) for i in range(20)]
    K["memoryview"] = [memoryview(b"seen %d" % i) for i in range(20)]
    K["datetime"] = [datetime.datetime(2020, 1, 1 + i, 12) for i in range(20)]
    K["date"] = [datetime.date(2020, 1, 1 + i) for i in range(20)]
    K["timedelta"] = [datetime.timedelta(seconds=10**5 + i) for i in range(20)]
    K["decimal"] = [decimal.Decimal(i) / 7 for i in range(20)]
    K["fraction"] = [fractions.Fraction(i, 7) for i in range(20)]
    K["uuid"] = [uuid.UUID(int=10**30 + i) for i in range(20)]
    K["pattern"] = [re.compile("number %d (x)" % i) for i in range(20)]
    K["match"] = [re.match("a(b)", "abc") for i in range(20)]
    K["stringio"] = [io.StringIO("in memory %d" % i) for i in range(20)]
    K["bytesio"] = [io.BytesIO(b"in memory %d" % i) for i in range(20)]
    K["file"] = open(os.devnull)
    K["lock"] = [threading.Lock(), threading.RLock(), threading.Event()]
    K["module"] = [types.ModuleType("made%d" % i) for i in range(20)]
    K["namespace"] = [types.SimpleNamespace(a=i) for i in range(20)]
    K["property"] = [property(len) for i in range(20)]
    K["code"] = [compile("x = %d" % i, "<made>", "exec") for i in range(20)]
    K["ctypes"] = [ctypes.c_int(i) for i in range(20)] + [(ctypes.c_char * 100)()]
    return K


def raise_in_thread(ready, stop):
    local_to_thread = ["only a thread's frame holds this"]
    ready.set()
    stop.wait()
    return local_to_thread


def name_of(kind):
    module = kind.__module__
    return kind.__qualname__ if module in ("builtins", None) else "%s.%s" % (module, kind.__qualname__)


def write_truth(path):
    """In the child. What it makes itself is left out: it remembers what there was before."""
    todo = gc.get_objects()
    seen = {id(todo)}
    with open(path, "w") as file:
        while todo:
            item = todo.pop()
            if id(item) in seen:
                continue
            seen.add(id(item))
            file.write(json.dumps([id(item), name_of(type(item))]) + "\n")
            todo.extend(gc.get_referents(item))


if __name__ == "__main__":
    K = many(int(sys.argv[2]) if len(sys.argv) > 2 else 100)
    ready, stop = threading.Event(), threading.Event()
    threading.Thread(target=raise_in_thread, args=(ready, stop), daemon=True).start()
    ready.wait()
    first = {kind: K[kind][0] if type(K[kind]) is list else K[kind] for kind in K}
    known = {kind: [id(item), name_of(type(item)), repr(item)] for kind, item in first.items()}
    child = os.fork()
    if child == 0:
        try:
            write_truth(sys.argv[1])
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.write(int(os.environ["TM_READY"]), json.dumps(known).encode() + b"\n")
    sys.stdin.readline()

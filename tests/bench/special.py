"""Cases that are hard on a tracer, and the memory it uses itself. Runs in a child; each function is one case.

Where the child is traced by tracemortem, what became of its table is read from outside in the same process: the engine
reads /proc/self/mem.
"""

import asyncio
import collections
import ctypes
import json
import os
import sys
import threading
import time

from child import costs, status


def table():
    """What tm-info says of this process's own table; {} if the process is not traced."""
    if "TRACEMORTEM" not in os.environ:
        return {}
    from tracemortem.debugger import engine, memory

    class Process(memory.LocalProcess, engine.Memory):
        pass

    class Host(engine.Host):
        text = ""

        def write(self, text):
            self.text += text

    host = Host()
    session = engine.Session(engine.Engine(), host)
    with engine.Target(session, Process(os.getpid())) as target:
        with session.request("tm-info", "--json") as request:
            request.run(target)
    return json.loads(host.text)


# -- bytes for a live block


def kept_objects(count):
    """objects, in blocks of 16 bytes"""
    keep = [None] * count
    return _grown(keep, lambda number: object())


def kept_integers(count):
    """integers, in blocks of 32 bytes"""
    keep = [None] * count
    return _grown(keep, lambda number: number + 1000000)


def kept_bytes(count):
    """bytes, in blocks of 48 bytes"""
    keep = [None] * count
    return _grown(keep, lambda number: b"%010d" % number)


def kept_strings(count):
    """strings, in blocks of 64 bytes"""
    keep = [None] * count
    return _grown(keep, lambda number: "%014d" % number)


def kept_instances(count):
    """instances with a list and a string: 56 to 88 bytes, four blocks each"""

    class Thing:
        __slots__ = ("name", "items")

        def __init__(self, number):
            self.name = "%014d" % number
            self.items = [number]

    keep = [None] * (count // 4)
    return _grown(keep, Thing)


def kept_of(size, title):
    """A case of blocks of `size` bytes each, which are written to."""

    def case(count):
        keep = [None] * count
        # A head of 33 bytes comes before the bytes themselves.
        return _grown(keep, lambda number: b"x" * (size - 33))

    case.__name__, case.__doc__ = "kept_%d" % size, "bytes, in blocks of %s" % title
    return case


_SIZES = ((500, "500 bytes"), (600, "600 bytes"), (1300, "1300 bytes"), (4096, "4 KiB"), (16384, "16 KiB"),
          (131072, "128 KiB"), (1048576, "1 MiB"))  # fmt: skip
KEPT = (kept_objects, kept_integers, kept_bytes, kept_strings, kept_instances)
KEPT += tuple(kept_of(size, title) for size, title in _SIZES)
for _case in KEPT:
    # One in how many of the blocks of the small cases is made, so that all of them take at most a GiB.
    _case.share = max(1, int(_case.__name__[5:]) // 300) if _case.__name__[5:].isdigit() else 1
globals().update((case.__name__, case) for case in KEPT)


def size_of(name):
    """The size of a case's blocks; of several, that of the largest."""
    known = {"objects": 16, "integers": 32, "bytes": 48, "strings": 64, "instances": 88}
    case = name[len("kept_") :]
    return known.get(case) or int(case)


def _grown(keep, make):
    before = status("VmRSS")
    for number in range(len(keep)):
        keep[number] = make(number)
    return {"grown": status("VmRSS") - before}


# -- ever more distinct stacks


class _Tree:
    def __init__(self, depth):
        self.left = type(self)(depth - 1) if depth else None
        self.right = type(self)(depth - 1) if depth else None
        self.value = depth

    async def __aiter__(self):
        if self.left:
            async for value in self.left:
                yield value
        yield [self.value]
        if self.right:
            async for value in self.right:
                yield value


class _Leaf(_Tree):
    def __iter__(self):
        if self.left:
            yield from self.left
        yield self.value
        if self.right:
            yield from self.right


def generators(scale):
    """a tree of generators, as pyperformance walks one"""

    def work():
        tree = _Leaf(10)
        for _ in range(30 * scale):
            for _ in tree:
                pass

    return _exploded(work)


def async_generators(scale):
    """a recursive tree of async generators"""

    async def walk():
        tree, total = _Tree(11), 0
        for _ in range(scale):
            async for (value,) in tree:
                total += value

    return _exploded(lambda: asyncio.run(walk()))


def coroutines(scale):
    """a recursive tree of coroutines, six to a node"""

    async def tree(depth):
        if depth == 0:
            return [await asyncio.sleep(0)]
        return await asyncio.gather(*(tree(depth - 1) for _ in range(6)))

    async def plant():
        for _ in range(scale):
            await tree(4)

    return _exploded(lambda: asyncio.run(plant()))


def recursion(scale):
    """recursion 900 deep, a list on each level"""

    def descend(depth):
        return [depth] if depth == 0 else [depth, descend(depth - 1), {"depth": depth}]

    def both(depth, turn):
        # Each level chooses which of two lines calls: no two stacks are the same.
        if depth == 0:
            return [turn]
        if (turn * 2654435761 >> depth % 29) & 1:
            return [both(depth - 1, turn)]
        return [both(depth - 1, turn + 1)]

    def work():
        sys.setrecursionlimit(4000)
        for turn in range(20 * scale):
            descend(900)
            both(900, turn)

    return _exploded(work)


def new_sizes(scale):
    """blocks of ever new sizes"""

    def work():
        kept = collections.deque(maxlen=100)
        for size in range(60000 * scale):
            kept.append(bytes(size % 120000))

    return _exploded(work)


def new_code(scale):
    """ever new code objects"""

    def work():
        for number in range(1500 * scale):
            names = {}
            exec("def f%d(a):\n    return [a, %d]\nvalue = f%d(1)" % (number, number, number), names)
            collections.namedtuple("Name%d" % number, "a b")(1, 2) if number % 10 == 0 else None

    return _exploded(work)


EXPLOSIONS = (generators, async_generators, coroutines, recursion, new_sizes, new_code)


def _exploded(work):
    result = costs(work)
    facts = table()
    return dict(result, lost_blocks=facts.get("lost_blocks"), lost_frames=facts.get("lost_frames"))


# -- a long life


def cycles(count, frames):
    """start(), some work, stop(), many times: by how many KiB memory grew after the first tenth. frames < 0: tracemalloc."""
    if frames < 0:
        import tracemalloc as tracer
    else:
        import tracemortem as tracer

    def cycle():
        tracer.start(abs(frames))
        keep = {number: [str(number)] for number in range(300)}
        for _ in range(3):
            json.loads(json.dumps(keep))
        tracer.stop()

    first = max(1, count // 10)
    for _ in range(first):
        cycle()
    before = status("VmRSS")
    for _ in range(count - first):
        cycle()
    return {"grown": status("VmRSS") - before}


def churn(requests):
    """A service's day: requests which parse, keep, evict, compile and start threads; KiB by which memory grew after the
    first quarter."""
    cache = collections.OrderedDict()

    def answer(number):
        document = json.loads('{"id": %d, "items": [%s]}' % (number, ",".join(map(str, range(number % 60)))))
        cache[number * 7919 % 5000] = document
        if len(cache) > 3000:
            cache.popitem(last=False)
        if number % 50 == 0:
            eval(compile("[x * %d for x in range(20)]" % number, "<request %d>" % (number % 500), "eval"))
        if number % 500 == 0:
            thread = threading.Thread(target=lambda: [str(i) for i in range(200)])
            thread.start()
            thread.join()
        if number % 5000 == 0:
            sum(map(len, [bytes(200 + i % 400) for i in range(30000)]))  # the heap grows and shrinks again

    before = None
    for number in range(requests):
        if number == requests // 4:
            before = status("VmRSS")
        answer(number)
    return {"grown": status("VmRSS") - before}


# -- two threads


def threads(count):
    """Two threads at the same time against one after the other: seconds by the clock, for each pair of works."""
    with_lock, without = (kind(os.environ["TM_BENCH_HAMMER"]) for kind in (ctypes.PyDLL, ctypes.CDLL))

    def raw():
        without.hammer_raw(count)

    def mem():
        for _ in range(20):  # the lock is let go now and then, as the interpreter does
            with_lock.hammer_mem(count // 20)

    def python():
        for number in range(count // 10):
            [number, str(number)]

    result = {}
    pairs = {"raw and raw": (raw, raw), "raw and mem": (raw, mem), "raw and Python": (raw, python)}
    pairs["Python and Python"] = (python, python)
    for name, pair in pairs.items():
        ways = {"together": _together, "in turn": _in_turn}
        result[name] = {way: min(run(pair) for _ in range(2)) for way, run in ways.items()}
    return {"pairs": result}


def _in_turn(pair):
    began = time.perf_counter()
    for work in pair:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    return time.perf_counter() - began


def _together(pair):
    began = time.perf_counter()
    running = [threading.Thread(target=work) for work in pair]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return time.perf_counter() - began

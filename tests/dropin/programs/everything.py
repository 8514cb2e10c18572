"""Allocates in every way, deterministically, and prints as JSON which memory its own lines hold.

Usage: everything.py NFRAME. NFRAME is not used if tracing is already on, from launch.

The answer is {"blocks": [[frames, domain, total_nframe, size, count], ...], "total": ..., "limit": ...}: all blocks whose most
recent frame is in this file or in code exec'd here. Blocks that differ only in size are summed up.
"""

import asyncio
import functools
import gc
import json
import linecache
import sys
import threading
import tracemalloc

keep = []
EXECUTED = ("ex\u00e9cut\u00e9 \u4e2d.py", "low \udc80\udcff.py", "astral \U0001f40d.py", "")
IGNORED = "x" * 300


class WithDict:
    def __init__(self, n):
        self.n = n
        self.d = {"n": n}
        self.l = [0] * n

    @property
    def double(self):
        return [self.n, self.n]


class WithSlots:
    __slots__ = ("a", "b", "__weakref__")

    def __init__(self):
        self.a = bytearray(10)
        self.b = bytearray(100)


# Made before anything is measured: a class is a key of its base by an int of its address, and higher addresses are larger ints.
class WithMethod(WithSlots):
    def method(self):
        return bytes(333)


def classes():
    for i in range(50):
        keep.append(WithDict(i % 7))
        keep.append(WithSlots())
        keep.append(WithDict(i).double)
    keep.append(WithMethod().method())
    keep.append(WithMethod().method)  # a bound method
    keep.append(functools.partial(WithMethod, 1))


def generate(n):
    for i in range(n):
        x = bytearray(i + 1)
        yield x


def delegate(n):
    yield from generate(n)
    got = yield bytes(50)
    yield [got]


def generators():
    keep.extend(generate(40))
    keep.extend(delegate(20))
    waiting = delegate(3)
    keep.append(next(waiting))
    keep.append(waiting)
    keep.append([bytes(i) for i in (x * 100 for x in range(1, 20))])


def recurse(n):
    if n == 0:
        return [bytearray(3)]
    result = recurse(n - 1)
    result.append(bytearray(n))
    return result


def ping(n):
    return [bytes(n)] + (pong(n - 1) if n else [])


def pong(n):
    return [bytes(n)] + (ping(n - 1) if n else [])


def recursion():
    keep.append(recurse(120))
    keep.append(ping(70))
    try:
        forever(0)
    except RecursionError:
        pass


def forever(n):
    return forever(n + 1)


def comprehensions():
    keep.append([bytes(200 + i) for i in range(30)])
    keep.append({i: str(i) * 3 for i in range(1000, 1100)})
    keep.append({str(i) * 4 for i in range(2000, 2010)})
    keep.append([[bytearray(i + j) for i in range(1, 4)] for j in range(5)])
    keep.append(list(map(lambda n: bytes(n + 1), range(20))))


def executed():
    for number, name in enumerate(EXECUTED):
        space = {}
        source = "def h(n):\n  q=[bytearray(n)]\n  return q\nz=h(%d)\n" % (77 + number)
        exec(compile(source, name, "exec"), space)
        keep.append(space["z"])
    keep.append(eval("[bytearray(5) for _ in range(3)]"))
    keep.append(eval(compile("[\n bytes(9),\n\n\n bytes(99)]", EXECUTED[1], "eval"), {}))


def texts():
    text = ""
    for i in range(200):
        text += str(i)
    keep.append(text)
    keep.append("-".join(str(i) * 5 for i in range(50)))
    keep.append(("%d " * 100) % tuple(range(100)))
    keep.append("\u00e9" * 100 + "\U0001f40d" * 100)
    keep.append(text.encode() * 7)
    keep.append(json.loads(json.dumps({"a": [1000000 + i for i in range(100)], "b": {"c": ["d" * 50]}})))


def growth():
    array = bytearray(1)
    for _ in range(100):
        array.extend(b"x" * 1000)
    keep.append(array)
    numbers = []
    for i in range(300):
        numbers.append(1000 + i)
    keep.append(numbers)
    del numbers[50:]
    table = {}
    for i in range(300):
        table[i] = i * 1000
    for i in range(200):
        del table[i]
    keep.append(table)
    shrunk = bytearray(200000)
    del shrunk[100:]
    keep.append(shrunk)
    keep.append(2 ** 20000)


def reborn():
    """Objects of free lists: floats, tuples, lists, dicts and more. They die, and other lines create objects in their blocks."""
    floats = [i / 7 for i in range(150)]
    tuples = [(i, i) for i in range(150)]
    longer = [tuple(range(i % 25)) for i in range(300)]
    lists = [[i] for i in range(150)]
    dicts = [{i: i} for i in range(150)]
    slices = [slice(i, i + 1) for i in range(10)]
    del floats, tuples, longer, lists, dicts, slices
    keep.append([i / 3 for i in range(60)])
    keep.append([(i, str(i)) for i in range(60)])
    keep.append([tuple(range(i % 25)) for i in range(60)])
    keep.append([[i + 1000] for i in range(60)])
    keep.append([{str(i): i} for i in range(60)])
    keep.append([slice(i, i + 2) for i in range(10)])


def cycles():
    for _ in range(50):
        pair = [[bytearray(20)], {}]
        pair[1]["back"] = pair
        keep.append(pair[0])
    gc.collect()


def work_of_thread(n):
    keep.append([bytearray(1000 + n) for _ in range(10)])
    keep.append(recurse(10))


def threads():
    for n in range(5):
        thread = threading.Thread(target=work_of_thread, args=(n,))
        thread.start()
        thread.join()


async def coroutine(n):
    await asyncio.sleep(0)
    result = [bytearray(11) for _ in range(n)]
    if n > 1:
        result.append(await coroutine(n - 1))
    return result


async def asynchronous_generator(n):
    for _ in range(n):
        await asyncio.sleep(0)
        yield bytearray(33)


async def asynchronous():
    keep.append(await asyncio.gather(*[coroutine(5) for _ in range(4)]))
    async for item in asynchronous_generator(5):
        keep.append(item)
    keep.append([item async for item in asynchronous_generator(7)])


def main():
    for part in (
        classes,
        generators,
        recursion,
        comprehensions,
        executed,
        texts,
        growth,
        reborn,
        cycles,
        threads,
        reborn,
        lambda: asyncio.run(asynchronous()),
        reborn,
    ):
        part()


def own_blocks(snapshot):
    files = EXECUTED + ("<string>", __file__)
    blocks = {}
    for trace in snapshot.traces._traces:
        domain, size, frames, total = trace + ((None,) if len(trace) == 3 else ())
        if frames[0][0] in files:
            block = blocks.setdefault((frames, domain, total), [0, 0])
            block[0] += size
            block[1] += 1
    return [key + tuple(block) for key, block in blocks.items()]


if __name__ == "__main__":
    gc.disable()
    from_launch = tracemalloc.is_tracing()
    # Run once before: caches fill, modules are imported, code specializes. So both tracers see the same.
    main()
    main()
    keep.clear()
    if not from_launch:
        tracemalloc.start(int(sys.argv[1]))
    # Empty the free lists of blocks from before, so that only blocks from now on are used again.
    gc.collect()
    if from_launch:
        tracemalloc.clear_traces()
    main()
    answer = {"total": tracemalloc.get_traced_memory()[0] > 0, "limit": tracemalloc.get_traceback_limit()}
    answer["blocks"] = own_blocks(tracemalloc.take_snapshot())
    tracemalloc.stop()
    json.dump(answer, sys.stdout)

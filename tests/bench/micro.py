"""Micro cases: one kind of allocation each, over and over, from a shallow and from a deep stack. Runs in a child.

A case is a function of a number: that many operations. The result is nanoseconds of processor time for one operation,
the least of a few repetitions.
"""

import time

OPERATIONS = 4000
DEEP = 40  # frames
PATIENCE = 0.25  # seconds for the repetitions of one case; one is always made
REPETITIONS = 7


class Plain:
    def __init__(self, value):
        self.value = value


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


def bytes_objects(count):
    """a bytes object made and freed"""
    for number in range(count):
        bytes(40)


def strings(count):
    """a string formatted"""
    for number in range(count):
        "text %d" % number


def integers(count):
    """an integer of 60 bits added up"""
    total = 1 << 60
    for number in range(count):
        total += number


def floats(count):
    """a float multiplied"""
    value = 1.0
    for _ in range(count):
        value = value * 1.0000001


def tuples(count):
    """a tuple of two, of which the last two are kept"""
    last = None
    for number in range(count):
        last = (number, last and last[0])


def lists(count):
    """a list of three"""
    for number in range(count):
        [number, number, number]


def dicts(count):
    """a dict with one key"""
    for number in range(count):
        {"key": number}


def sets(count):
    """a set of two"""
    for number in range(count):
        {number, 7}


def instances(count):
    """an instance with a dict"""
    for number in range(count):
        Plain(number)


def slotted(count):
    """an instance with slots"""
    for number in range(count):
        Slotted(number)


def closures(count):
    """a function made and called"""
    for number in range(count):
        (lambda: number)()


def generators(count):
    """a generator made and run"""
    for number in range(count):
        for _ in (x for x in (number,)):
            pass


def growing(count):
    """an item appended to a growing list"""
    for _ in range(count // 1000):
        items = []
        for number in range(1000):
            items.append(number & 63)


def kept(count):
    """a bytes object kept"""
    return [bytes(40) for number in range(count)]


def large(count):
    """a bytearray of 100,000 bytes, once for 20 operations"""
    for _ in range(count // 20):
        bytearray(100000)


CASES = (bytes_objects, strings, integers, floats, tuples, lists, dicts, sets, instances, slotted, closures, generators,
         growing, kept, large)  # fmt: skip


def _time(case):
    began = time.process_time()
    case(OPERATIONS)
    return (time.process_time() - began) / OPERATIONS * 1e9


def _least(case):
    end = time.perf_counter() + PATIENCE
    best = _time(case)
    for _ in range(REPETITIONS - 1):
        if time.perf_counter() > end:
            break
        best = min(best, _time(case))
    return best


def _at_depth(depth, case):
    return _least(case) if depth == 0 else _at_depth(depth - 1, case)


def measure(names):
    """{"cases": {case: {"shallow": nanoseconds, "deep": nanoseconds}}} of the named ones, or all."""
    chosen = [case for case in CASES if not names or case.__name__ in names]
    return {"cases": {case.__name__: {"shallow": _least(case), "deep": _at_depth(DEEP, case)} for case in chosen}}

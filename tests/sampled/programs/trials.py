"""Makes the same blocks again and again, each time with other samples, and prints how far off the estimates were.

    TRACEMORTEM_DETAIL=sampled TRACEMORTEM_SAMPLE=4096 TRACEMORTEM_SEED=1 trials.py CASE TRIALS

A case makes blocks of which it knows the sizes and numbers. After each trial the sampled blocks that came from this file
and have one of these sizes give an estimate of the whole, as docs/design.md says, and its standard error. One JSON object:

    errors      of each trial: (estimated bytes - bytes) / the standard error that the theory says
    within      in how many trials the bytes were at most 1, 2, 3 of the trial's own standard errors away
    samples     blocks that were picked, in all trials
"""

import contextlib
import ctypes
import dis
import json
import math
import os
import sys
import threading

import tracemortem
from tracemortem import _tracer

with contextlib.suppress(ImportError):
    from _testcapi import tracemalloc_track, tracemalloc_untrack

PERIOD = int(os.environ["TRACEMORTEM_SAMPLE"])
SIZE, POINTER = ctypes.c_size_t, ctypes.c_void_p
KEPT = []


def function(library, name, result, *arguments):
    made = library[name]
    made.restype = result
    made.argtypes = arguments
    return made


def family(library, name):
    return (
        function(library, name + "Malloc", POINTER, SIZE),
        function(library, name + "Realloc", POINTER, POINTER, SIZE),
        function(library, name + "Free", None, POINTER),
    )


RAW = family(ctypes.pythonapi, "PyMem_Raw")
FAMILIES = (RAW, family(ctypes.pythonapi, "PyMem_"), family(ctypes.pythonapi, "PyObject_"))
UNLOCKED = family(ctypes.CDLL(None), "PyMem_Raw")  # called without the interpreter's lock


# All blocks of the cases come from these lines.


def keep(allocate, size):
    return allocate(size)


def chain(allocator, sizes):
    malloc, realloc, _ = allocator
    block = malloc(sizes[0])
    for size in sizes[1:]:
        block = realloc(block, size)
    return block


def report(address, size):
    with contextlib.suppress(RuntimeError):  # CPython's own tracemalloc is off, and says so
        tracemalloc_track(77, address, size)


LINES = {line for made in (keep, chain, report) for _, line in dis.findlinestarts(made.__code__)}


def release(free, blocks):
    for block in blocks:
        free(block)


# -- the cases: each returns {size: number} of its blocks, and a function that frees them


def objects():
    """Objects of many sizes, of which every third is kept."""
    empty = sys.getsizeof(b"") - 1
    sizes = [size for size in range(64, 1500, 37)]
    for turn in range(90):
        for size in sizes:
            block = keep(bytes, size - empty - 1)
            if turn % 3 == 0:
                KEPT.append(block)
    return dict.fromkeys(sizes, 30), KEPT.clear


def tiny():
    """Blocks of no byte and of one."""
    blocks = [keep(RAW[0], size) for size in (0, 1) for _ in range(2000)]
    return {0: 2000, 1: 2000}, lambda: release(RAW[2], blocks)


def giants():
    """Blocks of 1 GiB, which are in no list of the map."""
    blocks = [keep(RAW[0], 1 << 30) for _ in range(100)]
    return {1 << 30: 100}, lambda: release(RAW[2], blocks)


CHAINS = ((20, 700, 90, 5003), (9000, 8000, 2003), (1, 2, 3, 4, 803), (300000, 163), (163,) * 30 + (483,))


def resizes():
    """Blocks that grow and shrink, of each allocator; the last size of each chain is what there is in the end."""
    blocks = [
        (allocator[2], chain(allocator, sizes)) for allocator in FAMILIES for sizes in CHAINS for _ in range(50)
    ]

    def end():
        for free, block in blocks:
            free(block)

    return {sizes[-1]: 50 * len(FAMILIES) for sizes in CHAINS}, end


def threads():
    """Blocks of threads that hold no lock of the interpreter's, freed by another thread."""
    blocks = []

    def work(number):
        blocks.extend(keep(UNLOCKED[0], 1003 + 10 * number) for _ in range(300))

    running = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return {1003 + 10 * number: 300 for number in range(4)}, lambda: release(UNLOCKED[2], blocks)


def tracked():
    """Blocks that an extension module reports, of a domain of its own; some are reported again, with another size."""
    addresses = [(7 << 40) + 4096 * number for number in range(900)]
    for address in addresses:
        report(address, 30003)
    for address in addresses:
        report(address, 703)

    def end():
        for address in addresses:
            with contextlib.suppress(RuntimeError):
                tracemalloc_untrack(77, address)

    return {703: 900}, end


CASES = {case.__name__: case for case in (objects, tiny, giants, resizes, threads, tracked)}


# -- what is estimated of them


def chance(size):
    return -math.expm1(-max(size, 1) / PERIOD)


def sampled():
    """The sizes of the sampled blocks that came from LINES."""
    newest = [(trace[1], trace[2][0]) for trace in _tracer._get_traces()]
    return [size for size, (file, line) in newest if file == __file__ and line in LINES]


def trial(case):
    """(error, how many standard errors away, samples) of one trial."""
    tracemortem.start()
    sizes, end = case()
    picked = [size for size in sampled() if size in sizes]
    end()
    left = sum(size in sizes for size in sampled())
    tracemortem.stop()
    if left:
        raise SystemExit("%d freed blocks are still there" % left)
    # A block without bytes counts as one byte here, so that its number is seen as well.
    true = sum(max(size, 1) * count for size, count in sizes.items())
    variance = sum(max(size, 1) ** 2 * count * (1 / chance(size) - 1) for size, count in sizes.items())
    estimate = sum(max(size, 1) / chance(size) for size in picked)
    own = sum(max(size, 1) ** 2 * (1 - chance(size)) / chance(size) ** 2 for size in picked)
    off = estimate - true
    return (
        off / math.sqrt(variance) if variance > 1e-6 * true else off / true,
        abs(off) / math.sqrt(own) if own else (0 if abs(off) < 1e-6 * true else math.inf),
        len(picked),
    )


def in_child(case):
    """The same in a forked child."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, json.dumps(trial(case)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        text = file.read()
    os.wait()
    return json.loads(text)


def main(name, count):
    run = trial
    if name.startswith("forked "):
        name, run = name[len("forked ") :], in_child
    tracemortem.start()  # a child draws what follows from its parent's draws
    tracemortem.stop()
    results = [run(CASES[name]) for _ in range(count)]
    errors, away, samples = zip(*results)
    print(
        json.dumps(
            {
                "errors": errors,
                "within": [sum(value <= bound for value in away) for bound in (1, 2, 3)],
                "samples": sum(samples),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

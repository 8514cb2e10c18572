"""Threads allocate, resize and free at once, also each other's blocks; then all rest, and the table is compared.

What each line below has allocated and still holds is known to the byte: sys.getsizeof() of the objects held.
"""

import os
import queue
import sys
import threading

import tracemortem

THREADS, ROUNDS = 4, 400
handed_over = queue.SimpleQueue()
kept = [[None] * ROUNDS for _ in range(THREADS)]
floats = [[None] * ROUNDS for _ in range(THREADS)]
ready = threading.Barrier(THREADS)


def work(own, own_floats):
    ready.wait()
    for i in range(ROUNDS):
        own[i] = bytes(100 + i % 50)  # kept
        own_floats[i] = i * 1.5  # reborn
        for _ in range(3):
            (i + 0.5) * 7  # into the free list of floats, out of which comes the next kept one
        block = bytes(1000 + i)  # given
        handed_over.put(block)
        del block
        if i % 2:
            handed_over.get()  # freed here, where it was not allocated
        grown = bytearray(10)
        for size in range(100, 3000, 700):
            grown.extend(b"x" * (size - len(grown)))
        del grown


def line_of(comment):
    with open(__file__) as file:
        return next(number for number, line in enumerate(file, 1) if line.endswith("# %s\n" % comment))


def figures(snapshot, line):
    (found,) = [s for s in snapshot.statistics("lineno") if s.traceback[0].lineno == line and same_file(s.traceback[0])]
    return found.count, found.size


def same_file(frame):
    return os.path.basename(frame.filename) == os.path.basename(__file__)


def held(objects):
    return len(objects), sum(map(sys.getsizeof, objects))


def main():
    if not tracemortem.is_tracing():
        tracemortem.start(2)
    tracemortem.take_snapshot()  # what it imports is imported
    threads = [threading.Thread(target=work, args=own) for own in zip(kept, floats)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    snapshot = tracemortem.take_snapshot()
    given = [handed_over.get() for _ in range(handed_over.qsize())]
    assert len(given) == THREADS * ROUNDS // 2
    for comment, objects in (("kept", sum(kept, [])), ("reborn", sum(floats, [])), ("given", given)):
        assert figures(snapshot, line_of(comment)) == held(objects), comment
    assert not sys._is_gil_enabled(), "the tracer has brought the lock back"
    if "TM_READY" in os.environ:
        os.write(int(os.environ["TM_READY"]), b"ready\n")
        sys.stdin.readline()


main()

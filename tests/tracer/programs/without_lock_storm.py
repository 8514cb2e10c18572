"""Threads allocate while others start, stop, clear and take snapshots; then the process forks; then all rest."""

import fnmatch  # noqa: F401 # what the calls below import must be imported before the threads begin
import linecache  # noqa: F401
import os
import pickle  # noqa: F401
import signal
import sys
import threading
import tracemalloc  # noqa: F401

import tracemortem

ROUNDS = 150
kept = [None] * 4
done = threading.Event()


def work(number):
    while not done.is_set():
        rows = [{"a": float(i), "b": [i] * 3} for i in range(100)]
        kept[number] = rows
        exec(compile("def f(x):\n    return [x, str(x)]\nf(7.5)", "made%d.py" % number, "exec"), {})
        kept[number - 1] = bytearray(50000)


def switch():
    for i in range(ROUNDS):
        tracemortem.stop()
        tracemortem.start(1 + i % 7)
        tracemortem.clear_traces()
        tracemortem.reset_peak()
        tracemortem.get_object_traceback(kept[0])
        if i % 50 == 0:
            try:
                tracemortem.take_snapshot()
            except RuntimeError:
                pass  # the other one has just stopped


tracemortem.start(3)
workers = [threading.Thread(target=work, args=(number,)) for number in range(len(kept))]
switchers = [threading.Thread(target=switch) for _ in range(2)]
for thread in workers + switchers:
    thread.start()
for thread in switchers:
    thread.join()
child = os.fork()  # while the workers work
if child == 0:
    signal.pause()
    os._exit(0)
os.write(int(os.environ["TM_READY"]), b"%d\n" % child)
sys.stdin.readline()
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
done.set()
for thread in workers:
    thread.join()
tracemortem.start(3)
os.write(int(os.environ["TM_READY"]), b"ready\n")
sys.stdin.readline()

"""Is loaded into gdb or lldb after the tm- commands, and writes what each of them costs: one JSON object a line.

The file's name is in $TM_BENCH_COSTS. Told are the seconds inside the engine ("seconds", "cpu"), how many of them it
waited for reads of the target ("reading"), the bytes which it read, by how many KiB the debugger's resident memory grew
at its most ("grown"), and the longest that the engine worked and asked nobody whether it should stop ("silence", of
processor time: that somebody else had the processor is not its doing).
"""

import json
import os
import re
import time

from tracemortem.debugger import engine, shell


def _resident(field):
    with open("/proc/self/status", encoding="utf-8") as file:
        return int(re.search(r"%s:\s+(\d+) kB" % field, file.read()).group(1))


def _forget_peak():
    with open("/proc/self/clear_refs", "w", encoding="utf-8") as file:
        file.write("5")


class _Watch:
    """One run of a request."""

    def __init__(self):
        self.reading = self.silence = 0.0
        self.heard = time.thread_time()

    def hear(self):
        now = time.thread_time()
        self.silence = max(self.silence, now - self.heard)
        self.heard = now


_watch = _Watch()


def _timed_read(self, *arguments, _read=engine.Target._read):
    began = time.perf_counter()
    try:
        return _read(self, *arguments)
    finally:
        _watch.reading += time.perf_counter() - began


def _heard_stop(self, _should_stop=shell.Shell.should_stop):
    _watch.hear()
    return _should_stop(self)


def _measured_run(self, target, _run=engine.Request.run):
    global _watch
    _forget_peak()
    before = _resident("VmRSS")
    _watch = _Watch()
    began, began_cpu = time.perf_counter(), time.process_time()
    try:
        return _run(self, target)
    finally:
        _watch.hear()
        costs = {
            "seconds": time.perf_counter() - began,
            "cpu": time.process_time() - began_cpu,
            "reading": _watch.reading,
            "silence": _watch.silence,
            "bytes": target.bytes_read() if target else 0,
            "grown": max(0, _resident("VmHWM") - before),
        }
        with open(os.environ["TM_BENCH_COSTS"], "a", encoding="utf-8") as file:
            file.write(json.dumps(costs) + "\n")


engine.Target._read = _timed_read
shell.Shell.should_stop = _heard_stop
engine.Request.run = _measured_run

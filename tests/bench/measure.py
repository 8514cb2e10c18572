"""Runs children, one at a time, each in one of the modes, and collects what they report.

The modes take turns, in one order in one round and in the opposite order in the next, so that whatever else the machine
does meets them all alike. A child is kept to one core, this program to the others. Where a figure is a multiple of
untraced, it is the median of the rounds' own multiples.
"""

import collections
import json
import os
import resource
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PACKAGE_PATH = os.path.join(ROOT, "build", "python")
TRACER = os.path.join(PACKAGE_PATH, "tracemortem", "_tracer.abi3.so")
CHILD = os.path.join(HERE, "child.py")
SCRATCH = os.path.join(ROOT, "build", "bench")

PATIENCE = 300  # seconds

Mode = collections.namedtuple("Mode", "name environment every")
Mode.__doc__ = "How a child is traced. It takes part in `every` n-th round: stock tracemalloc takes its time."


def _stock(frames, every):
    return Mode("stock %d" % frames, {"PYTHONTRACEMALLOC": str(frames)}, every)


def _ours(detail, frames):
    environment = {"LD_PRELOAD": TRACER, "TRACEMORTEM": str(frames), "TRACEMORTEM_DETAIL": detail}
    return Mode("%s %d" % (detail, frames), environment, 1)


UNTRACED = Mode("untraced", {}, 1)
MODES = (
    UNTRACED,
    _ours("lean", 1),
    _ours("lean", 25),
    _ours("full", 1),
    _ours("sampled", 25),
    _stock(1, 3),
    _stock(25, 9),
)
BY_NAME = {mode.name: mode for mode in MODES}


class Failed(Exception):
    """A child that could not do its work: str() says why."""


def pin_driver():
    """Keep this program off the core which children run on. Returns that core, or None if there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        return None
    os.sched_setaffinity(0, set(cores[:-1]))
    return cores[-1]


class Runner:
    """Starts children in the interpreter `python`, on `core` unless that is None."""

    def __init__(self, python, core):
        self.python = python
        self._cores = None if core is None else {core}
        self._all_cores = os.sched_getaffinity(0) | (self._cores or set())

    def environment(self, mode, **variables):
        """A child's: this program's without what concerns Python, and the mode's."""
        made = {key: value for key, value in os.environ.items() if not key.startswith(_NOT_THEIRS)}
        made.update(dict({"PYTHONHASHSEED": "0", "PYTHONPATH": PACKAGE_PATH}, **variables))
        made["PYTHONPYCACHEPREFIX"] = os.path.join(SCRATCH, "pycache")
        made.update(mode.environment)
        return made

    def pin(self):
        """In a child: keep to the children's core."""
        os.sched_setaffinity(0, self._cores or self._all_cores)

    def unpin(self):
        """In a child: use all cores."""
        os.sched_setaffinity(0, self._all_cores)

    def run(self, mode, *words, pinned=True, **variables):
        """What child.py says on these words; and of the whole process, from its launch to its end, "process": seconds
        of processor time, and "elapsed": seconds by the clock."""
        environment = self.environment(mode, **variables)
        pin = self.pin if pinned else self.unpin
        began, used = time.perf_counter(), _used_by_children()
        process = subprocess.Popen(
            [self.python, CHILD] + [str(word) for word in words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=pin,
        )
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Failed("took more than %d s" % PATIENCE) from None
        whole = {"process": _used_by_children() - used, "elapsed": time.perf_counter() - began}
        return dict(_answer(process.returncode, out, err), **whole)


_NOT_THEIRS = ("PYTHON", "TRACEMORTEM", "LD_PRELOAD", "PYENV")


def _used_by_children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _answer(status, out, err):
    if status:
        lines = err.decode(errors="replace").strip().splitlines()
        raise Failed("ended with status %d%s" % (status, ": " + lines[-1] if lines else ""))
    answer = json.loads(out)
    if "error" in answer:
        raise Failed(answer["error"])
    return answer


def interleaved(runner, modes, rounds, words, **options):
    """{mode name: a list with what the child said, None in rounds which the mode does not take part in}."""
    results = {mode.name: [] for mode in modes}
    for number in range(rounds):
        for mode in modes if number % 2 == 0 else reversed(modes):
            taking_part = number % mode.every == 0
            results[mode.name].append(runner.run(mode, *words, **options) if taking_part else None)
    return results


def median(runs, what):
    return statistics.median(run[what] for run in runs if run)


def ratio(results, mode, what, base=UNTRACED.name):
    """The median of the rounds' multiples of `base`; None without any."""
    ratios = [run[what] / other[what] for run, other in zip(results[mode], results[base]) if run and other]
    return statistics.median(ratios) if ratios else None


def geometric_mean(values):
    values = [value for value in values if value is not None]
    return statistics.geometric_mean(values) if values else None


def say(text):
    """Show on a terminal, in one line, what is running."""
    if sys.stderr.isatty():
        print("\r\33[K%s" % text[:118], end="", file=sys.stderr, flush=True)

#!/usr/bin/env python3
"""Runs the stepping harness: all of it for `make torn`, and a fixed sample in the tests.

Each run has a CPython, parts of corpus.py, and a share of them to look at. The counts are printed for each run and in
all. Exit status: 0 if nothing wrong was seen.
"""

import collections
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

import debuggers  # noqa: E402
import pythons  # noqa: E402

PROGRAM = os.path.join(debuggers.BUILD, "tests", "torn", "torn")
CORPUS = os.path.join(debuggers.BUILD, "tests", "torn", "corpus.py")

# (parts, options): see torn.c. The limits and chances bound what takes long: clearing visits every slot of every leaf.
FULL = [
    ("sizes resizes objects nested births leaf", "-f 5"),
    ("sizes resizes nested births", "-f 1 -e 3"),
    ("giants code_objects tracked tracked_core", "-f 5"),
    ("threads", "-f 5 -w 25"),
    ("fork", "-f 5"),
    ("clear", "-f 5 -l 150000"),
    ("stop", "-f 5 -l 150000"),
    ("growth", "-f 5 -e 8"),
    ("tracked_growth", "-f 5 -e 15"),
    ("sizes resizes giants objects nested leaf code_objects tracked tracked_core fork", "-f 5 -p 30"),
    ("threads", "-f 5 -w 25 -p 30"),
    ("clear", "-f 5 -l 150000 -p 100"),
    ("stop", "-f 5 -l 150000 -p 100"),
]
SAMPLE = [
    ("sizes resizes giants objects nested births leaf tracked tracked_core fork", "-f 5 -e 60 -s 7"),
    ("threads", "-f 5 -w 25 -l 4000"),
    ("sizes resizes giants objects nested leaf tracked tracked_core fork", "-f 5 -e 40 -s 7 -p 30"),
]

COUNTS = re.compile(
    r"(\d+) stops in the tracer and (\d+) in functions of libc it called, in (\d+) of (\d+) calls: "
    r"(\d+) after instructions that cannot write, (\d+) with nothing changed, (\d+) looked at; "
    r"(\d+) changes of thread; (\d+) violations"
)
Counts = collections.namedtuple(
    "Counts", "inside in_libc calls all_calls harmless unchanged looked switches violations"
)

PATIENCE = 7200


def chosen_pythons():
    """The oldest, the newest, and Debian's, which is stripped and has no shared library."""
    found = pythons.find()
    debian = [python for python in found if python.path.startswith("/usr/bin/")]
    chosen = {python.path: python for python in found[:1] + debian[:1] + found[-1:]}
    return sorted(chosen.values())


def step(python, parts, options):
    """(Counts, exit status, what it printed)."""
    command = [PROGRAM] + options.split() + [debuggers.TRACER, python, CORPUS] + parts.split()
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
    text = run.stdout.decode(errors="replace")
    numbers = COUNTS.search(text)
    return Counts(*map(int, numbers.groups())) if numbers else None, run.returncode, text


def main():
    total = Counts(*[0] * len(Counts._fields))
    failed = 0
    for python in chosen_pythons():
        for parts, options in FULL:
            counts, status, text = step(python.path, parts, options)
            print("CPython %d.%d.%d, %s, %s\n%s" % (python.version + (options, parts, text)), flush=True)
            failed += status != 0 or counts is None
            total = Counts(*map(sum, zip(total, counts or [0] * len(total))))
    print("in all:", ", ".join("%d %s" % (number, name) for name, number in total._asdict().items()))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())

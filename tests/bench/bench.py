"""What tracing costs: untraced, tracemalloc and tracemortem side by side in one run.

Each workload (workloads.py) runs in a process of its own, in every mode once a round; the modes take turns, so that
whatever else the machine does meets them all alike. Shown are medians: processor time of the workload alone (start-up
is left out), and the most resident memory of the process, each as a multiple of untraced.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PROGRAM = os.path.join(HERE, "workloads.py")

sys.path.insert(0, HERE)
import workloads  # noqa: E402

MODES = (
    ("untraced", []),
    ("tracemalloc 1", ["-X", "tracemalloc=1"]),
    ("tracemortem 1", ["-m", "tracemortem", "-f", "1"]),
    ("tracemalloc 25", ["-X", "tracemalloc=25"]),
    ("tracemortem 25", ["-m", "tracemortem", "-f", "25"]),
)


def measure(python, options, name):
    """One run: {"seconds", "resident"}."""
    not_theirs = ("PYTHON", "TRACEMORTEM", "LD_PRELOAD")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(not_theirs)}
    environment.update(PYTHONPATH=os.path.join(ROOT, "build", "python"), PYTHONHASHSEED="0")
    answer = subprocess.run([python] + options + [PROGRAM, name], env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(answer.stdout)


def median(runs, what):
    return statistics.median(run[what] for run in runs)


def row(name, results, what, unit):
    """A line of the table: untraced absolutely, the others as multiples of it."""
    base = median(results[MODES[0][0]], what)
    cells = ["%9.2f %s" % (base * unit[0], unit[1])]
    cells += ["%13.2fx" % (median(results[mode], what) / base) for mode, _ in MODES[1:]]
    return "%-16s%s" % (name, "  ".join(cells))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--python", default=sys.executable, help="the interpreter to measure")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each workload in each mode (default: 3)")
    parser.add_argument("names", nargs="*", metavar="WORKLOAD", help="only these")
    arguments = parser.parse_args()
    names = arguments.names or [function.__name__ for function in workloads.ALL]

    results = {name: {mode: [] for mode, _ in MODES} for name in names}
    for number in range(arguments.rounds):
        for name in names:
            print("round %d of %d: %-20s" % (number + 1, arguments.rounds, name), end="\r", file=sys.stderr, flush=True)
            for mode, options in MODES:
                results[name][mode].append(measure(arguments.python, options, name))

    version = subprocess.run([arguments.python, "-VV"], stdout=subprocess.PIPE, check=True).stdout.decode().strip()
    print("%s, %s, %d CPUs; medians of %d rounds" % (version, platform.machine(), os.cpu_count(), arguments.rounds))
    for title, what, unit in (("Time", "seconds", (1, "s")), ("Resident memory", "resident", (1 / 1024, "MiB"))):
        print("\n%-16s%11s  %s" % (title, MODES[0][0], "  ".join("%14s" % mode for mode, _ in MODES[1:])))
        for name in names:
            print(row(name, results[name], what, unit))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What the recorder's file costs, against the same table in anonymous memory: time, memory, forks, and writes to the disk.

    recording.py --python PYTHON [--quick]

prints tables. The files are on a tmpfs (/dev/shm) and on the disk of the folder for temporary files. Ratios are medians of
rounds in which the modes take turns (measure.py).
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE]

import measure  # noqa: E402
import report  # noqa: E402
from measure import Mode  # noqa: E402

PROGRAMS = ("json_documents", "objects", "web_site")

FORKS = """if 1:
    import ctypes, os, resource, sys, time
    kept = [[n] for n in range(int(sys.argv[1]))]
    library = ctypes.CDLL(sys.argv[2])
    def worked():
        child = os.fork()
        if child == 0:
            work = [[n] for n in range(20000)]
            os._exit(0)
        os.waitpid(child, 0)
    def ended():
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
    def execed():
        library.fork_and_exec(1)
    for what in (execed, ended, worked):
        best = []
        for _ in range(int(sys.argv[3])):
            began = time.perf_counter()
            what()
            best.append(time.perf_counter() - began)
        print(sorted(best)[len(best) // 2])
"""

BUSY = """if 1:
    import json, os, sys, time
    def written():
        with open("/proc/self/io") as file:
            return int([line for line in file if line.startswith("write_bytes")][0].split()[1])
    cache = {}
    end, began, before, number = time.monotonic() + float(sys.argv[1]), time.monotonic(), written(), 0
    while time.monotonic() < end:
        for _ in range(100):  # 2000 requests a second, each with its own blocks, and a cache of 20000
            page = json.loads(json.dumps({"id": number, "rows": [[n, str(n)] for n in range(20)]}))
            cache[number % 20000] = page
            number += 1
        time.sleep(0.05)
    print((written() - before) * 3600 / (time.monotonic() - began), number)
"""


def variables(frames, folder):
    found = {"LD_PRELOAD": measure.TRACER, "TRACEMORTEM": str(frames)}
    if folder:
        found["TRACEMORTEM_FILE"] = folder
    return found


def ratios(runs, what):
    """Of each mode to the first: medians of the rounds' own ratios."""
    first, *others = runs
    return [statistics.median(b[what] / a[what] for a, b in zip(runs[first], runs[other])) for other in others]


def programs(runner, modes, rounds):
    rows = []
    for name in PROGRAMS:
        runner.run(modes[0], "program", name)
        runs = {mode.name: [] for mode in modes}
        for number in range(rounds):
            for mode in modes if number % 2 else modes[::-1]:
                runs[mode.name].append(runner.run(mode, "program", name))
        for mode in runs:
            runs[mode] = [dict(run, time=run["process"]) for run in runs[mode]]
        rows.append([name] + ["%.2f" % ratio for ratio in ratios(runs, "time") + ratios(runs, "resident")])
    header = ["against no file", "time, tmpfs", "time, disk", "memory, tmpfs", "memory, disk"]
    return report.table(header, rows)


def forks(python, folders, blocks, times):
    library = os.path.join(tempfile.mkdtemp(prefix="tm-bench-"), "idle_child.so")
    source = os.path.join(os.path.dirname(HERE), "recorder", "idle_child.c")
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", library, source], check=True)
    rows = []
    for count in blocks:
        columns = []
        for _, folder in folders:
            environment = dict(os.environ, **variables(1, folder))
            command = [python, "-c", FORKS, str(count), library, str(times)]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
            columns.append([float(line) * 1000 for line in done.stdout.split()])
        for place, what in enumerate(("fork and exec", "fork and _exit", "fork and work")):
            rows.append(["%d blocks: %s" % (count * 2, what)] + ["%.1f ms" % column[place] for column in columns])
    shutil.rmtree(os.path.dirname(library))
    return report.table(["one child, start to end"] + [name for name, _ in folders], rows)


def writes(python, folder, seconds):
    rows = []
    for name, place in (("no file", None), ("a file on the disk", folder)):
        environment = dict(os.environ, **variables(25, place))
        done = subprocess.run([python, "-c", BUSY, str(seconds)], env=environment, stdout=subprocess.PIPE, check=True)
        an_hour, requests = map(float, done.stdout.split())
        rows.append([name, "%.0f" % (requests / seconds), "%.0f MiB" % (an_hour / 1048576)])
    return report.table(["a busy service", "requests a second", "dirtied an hour"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--python", default="/usr/bin/python3")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    os.makedirs(measure.SCRATCH, exist_ok=True)
    disk, memory = tempfile.mkdtemp(prefix="tm-bench-"), tempfile.mkdtemp(prefix="tm-bench-", dir="/dev/shm")
    try:
        runner = measure.Runner(arguments.python, measure.pin_driver())
        modes = [Mode("plain", variables(25, None), 1), Mode("tmpfs", variables(25, memory), 1)]
        modes.append(Mode("disk", variables(25, disk), 1))
        print("Programs, 25 frames, with the table in a file against the same without:\n")
        print(programs(runner, modes, 2 if arguments.quick else 7))
        folders = [("no file", None), ("tmpfs", memory), ("disk", disk)]
        print("\nForks of a process with so many live blocks:\n")
        sizes = (5000,) if arguments.quick else (50000, 500000)
        print(forks(arguments.python, folders, sizes, 5 if arguments.quick else 15))
        print("\nA service whose blocks come and go, for %d s:\n" % (3 if arguments.quick else 90))
        print(writes(arguments.python, disk, 3 if arguments.quick else 90))
    finally:
        shutil.rmtree(disk)
        shutil.rmtree(memory)


if __name__ == "__main__":
    main()

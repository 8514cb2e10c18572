"""Measures what tracing costs and what asking costs: untraced, tracemalloc and tracemortem side by side in one run.

Prints every table and every target, met or not, and writes both into a page between its markers: docs/performance.md
after a full run, build/bench/performance.md after a quick one. The results are in build/bench/results.json, or beside
the page that --page names; with `--from` they make the page again without measuring.

    measure.py          runs children, interleaved; child.py is what runs in them
    programs/ services.py micro.py special.py   what is measured
    reading.py          commands in gdb and lldb
    targets.py          the targets
    report.py           tables
"""

import argparse
import collections
import datetime
import glob
import json
import os
import platform
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import measure  # noqa: E402
import micro  # noqa: E402
import pythons  # noqa: E402
import reading  # noqa: E402
import report  # noqa: E402
import services  # noqa: E402
import special  # noqa: E402
from measure import BY_NAME, MODES, ROOT, SCRATCH, UNTRACED, Failed, interleaved, say  # noqa: E402

PROGRAMS = sorted(os.path.basename(path)[:-3] for path in glob.glob(os.path.join(HERE, "programs", "*.py")))

Scale = collections.namedtuple("Scale", "rounds start_rounds kept explosion cycles requests hammer blocks stock_traces")
Scale.__doc__ = "How much is measured."
FULL = Scale(5, 25, 2000000, 2, 1000, 86400, 500000, (1000000, 10000000), 3000000)
QUICK = Scale(1, 5, 300000, 1, 100, 8640, 100000, (1000000,), 300000)


def modes_of(*names):
    return tuple(BY_NAME[name] for name in names)


def modes_for(quick):
    """The modes of programs and micro cases."""
    # Stock with many frames is as slow as all the others together.
    return tuple(mode for mode in MODES if not (quick and mode.name == "stock 25"))


class Bench:
    """One run. Each method measures a part; those of PARTS measure it for one interpreter."""

    def __init__(self, arguments, scale, core):
        self.arguments = arguments
        self.scale = scale
        self.core = core

    def chosen(self, names):
        return [name for name in names if not self.arguments.names or name in self.arguments.names]

    def start(self, runner):
        """What starting costs: the call in a running program, and a whole empty program."""
        rounds = self.scale.start_rounds
        modes = [
            mode._replace(every=1)
            for mode in modes_of("untraced", "sampled 25", "lean 1", "lean 25", "full 1", "stock 1")
        ]
        call = [runner.run(UNTRACED, "start") for _ in range(rounds)]
        return {"call": call, "empty": interleaved(runner, modes, rounds, ["nothing"])}

    def programs(self, runner):
        results = {}
        for name in self.chosen(PROGRAMS):
            say("%s: program %s" % (runner.version, name))
            try:
                runner.run(UNTRACED, "program", name)  # once for its .pyc files, and to see whether it runs here
                results[name] = interleaved(runner, runner.modes, self.scale.rounds, ["program", name])
            except Failed as problem:
                results[name] = {"problem": str(problem)}
        return results

    def micro(self, runner):
        names = self.chosen([case.__name__ for case in micro.CASES])
        say("%s: micro cases" % runner.version)
        return interleaved(runner, runner.modes, self.scale.rounds, ["micro"] + names) if names else {}

    def memory(self, runner):
        results = {}
        for name in self.chosen([case.__name__ for case in special.KEPT]):
            blocks = self.scale.kept // getattr(special, name).share
            say("%s: memory of %d %s" % (runner.version, blocks, name))
            modes = modes_of("untraced", "lean 1", "lean 25", "full 1", "stock 1")
            runs = interleaved(runner, modes, 1, ["special", name, blocks])
            results[name] = {"blocks": blocks, "runs": runs}
        return results

    def explosions(self, runner):
        results = {}
        for name in self.chosen([case.__name__ for case in special.EXPLOSIONS]):
            say("%s: %s" % (runner.version, name))
            modes = modes_of("untraced", "lean 1", "lean 25", "full 1", "stock 1", "stock 25")
            results[name] = interleaved(runner, modes, 1, ["special", name, self.scale.explosion])
        return results

    def life(self, runner):
        results = {}
        for frames in (1, 25):
            for who, sign in (("ours", 1), ("stock", -1)):
                say("%s: start() and stop(), %s, %d" % (runner.version, who, frames))
                words = ["special", "cycles", self.scale.cycles, sign * frames]
                results["cycles %s %d" % (who, frames)] = runner.run(UNTRACED, *words)["grown"]
        for mode in modes_of("untraced", "lean 25"):
            say("%s: a day of requests, %s" % (runner.version, mode.name))
            results["day " + mode.name] = runner.run(mode, "special", "churn", self.scale.requests)["grown"]
        return results

    def threads(self, runner):
        say("%s: two threads" % runner.version)
        hammer = build_hammer(runner.python)
        modes = modes_of("untraced", "lean 1", "lean 25", "stock 1")
        words = ["special", "threads", self.scale.hammer]
        return interleaved(runner, modes, 1, words, pinned=False, TM_BENCH_HAMMER=hammer)

    def services(self, runner):
        """Requests to real servers, on the interpreters that have Debian's packages of them."""
        results = {}
        modes = [mode for mode in runner.modes if mode.name != "stock 25"]
        for name in self.chosen(services.SERVICES):
            say("%s: service %s" % (runner.version, name))
            try:
                results[name] = services.measure(runner, name, modes, self.scale.rounds, self.scale.requests // 30)
            except Failed as problem:
                results[name] = {"problem": str(problem)}
        return results

    PARTS = (start, programs, services, micro, memory, explosions, life, threads)

    # -- independent of the interpreter

    def reading(self, python):
        return reading.measure(python, self.scale.blocks, say)

    def stock(self, python):
        """What reading CPython's own tables costs: a program of its own, which prints a table."""
        program = os.path.join(HERE, "stock_reading.py")
        if not os.path.exists(program):
            return None
        say("stock tables")
        words = [sys.executable, program, "--python", python, "--traces", str(self.scale.stock_traces)]
        done = subprocess.run(words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        return done.stdout.decode() if done.returncode == 0 else "stock_reading.py ended with %d" % done.returncode

    def recorder(self, python):
        """What the recorder's file costs: a program of its own, which prints tables."""
        say("the recorder's file")
        words = [sys.executable, os.path.join(HERE, "recording.py"), "--python", python]
        words += ["--quick"] if self.arguments.quick else []
        done = subprocess.run(words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        return done.stdout.decode() if done.returncode == 0 else "recording.py ended with %d" % done.returncode

    LAST_PARTS = (reading, stock, recorder)

    def timed(self, part, *arguments):
        began = time.monotonic()
        result = part(self, *arguments)
        say("")
        print("%s: %d s" % (part.__name__, time.monotonic() - began), file=sys.stderr)
        return result

    def run(self, found):
        wanted = self.arguments.parts
        results = {"about": about(found, self.arguments.quick), "pythons": {}}
        for python in found:
            runner = measure.Runner(python.path, self.core)
            runner.version = "%d.%d.%d" % python.version
            runner.modes = modes_for(self.arguments.quick)
            here = results["pythons"][runner.version] = {"path": python.path}
            for part in self.PARTS:
                if part.__name__ in wanted:
                    here[part.__name__] = self.timed(part, runner)
        for part in self.LAST_PARTS:
            if part.__name__ in wanted:
                results[part.__name__] = self.timed(part, found[-1].path)
        say("")
        results["about"]["seconds"] = round(time.monotonic() - self.arguments.began)
        results["about"]["busy"] = round(sum(os.times()[:4]))
        return results


PART_NAMES = [part.__name__ for part in Bench.PARTS + Bench.LAST_PARTS]


def build_hammer(python):
    """The library which two threads call (hammer.c)."""
    words = [python, "-c", "import sysconfig; print(sysconfig.get_path('include'))"]
    include = subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout.decode().strip()
    library = os.path.join(SCRATCH, "hammer.so")
    words = [os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", "-isystem", include, "-o", library]
    subprocess.run(words + [os.path.join(HERE, "hammer.c")], check=True)
    return library


# -- what was measured on


def first_line(words):
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT)
    except OSError:
        return "none"
    return (done.stdout.decode(errors="replace").strip().splitlines() or ["none"])[0]


def about(found, quick):
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory = int(file.read().split()[1]) // 1048576
    measured = ["src", "gdb", "lldb", "tests/bench"]
    changed = first_line(["git", "status", "--porcelain", "--untracked-files=no", "--"] + measured)
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": first_line(["git", "rev-parse", "--short=12", "HEAD"]) + ("" if changed == "none" else ", changed"),
        "quick": quick,
        "processor": model.group(1) if model else platform.machine(),
        "cores": os.cpu_count(),
        "memory": memory,
        "kernel": platform.release(),
        "load": os.getloadavg()[0],
        "compiler": first_line([os.environ.get("CC", "cc"), "--version"]),
        "debuggers": [first_line([name, "--version"]) for name in (reading.debuggers.GDB, reading.debuggers.LLDB)],
        "pythons": {"%d.%d.%d" % python.version: first_line([python.path, "-VV"]) for python in found},
    }


def interpreters(arguments):
    """Those of the command line; else the system's and the newest here; for a quick run, only the newest."""
    if arguments.python:
        chosen = [pythons.probe(path) for path in arguments.python]
        if None in chosen:
            raise SystemExit("%s: no CPython from 3.8 on" % arguments.python[chosen.index(None)])
        return sorted({python.path: python for python in chosen}.values())
    everyone = pythons.find()
    system = None if arguments.quick else pythons.probe("/usr/bin/python3")
    return sorted({python.path: python for python in (system, everyone[-1]) if python}.values())


def parse(words):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--python", action="append", default=[], help="an interpreter to measure; may be repeated")
    parser.add_argument("--quick", action="store_true", help="less of everything, in two minutes")
    parser.add_argument("--rounds", type=int, help="runs of each program in each mode")
    parser.add_argument("--parts", type=lambda text: text.split(","), default=PART_NAMES, help=", ".join(PART_NAMES))
    parser.add_argument("--names", type=lambda text: text.split(","), help="only these programs and cases")
    parser.add_argument(
        "--blocks", type=lambda text: tuple(map(int, text.split(","))), help="numbers of live blocks to read"
    )
    parser.add_argument(
        "--from", dest="source", metavar="FILE", help="do not measure: take the results of an earlier run"
    )
    parser.add_argument("--page", help="the page to write the tables into")
    arguments = parser.parse_args(words)
    unknown = set(arguments.parts) - set(PART_NAMES)
    if unknown:
        parser.error("no such part: %s" % ", ".join(sorted(unknown)))
    arguments.began = time.monotonic()
    return arguments


def main(words=None):
    arguments = parse(words)
    os.makedirs(SCRATCH, exist_ok=True)
    whole = not arguments.quick and not arguments.names and arguments.parts == PART_NAMES
    template = os.path.join(ROOT, "docs", "performance.md")
    page = arguments.page or (template if whole or arguments.source else os.path.join(SCRATCH, "performance.md"))
    if arguments.source:
        with open(arguments.source, encoding="utf-8") as file:
            results = json.load(file)
    else:
        scale = QUICK if arguments.quick else FULL
        scale = scale._replace(rounds=arguments.rounds or scale.rounds, blocks=arguments.blocks or scale.blocks)
        results = Bench(arguments, scale, measure.pin_driver()).run(interpreters(arguments))
        beside = os.path.join(SCRATCH, "results.json") if not arguments.page else arguments.page + ".json"
        with open(beside, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
    sections = report.sections(results)
    for name, text in sections.items():
        print("%s\n\n%s\n" % (name.upper(), text))
    report.write_page(template, page, sections)
    print("written: %s" % os.path.relpath(page))


if __name__ == "__main__":
    main()

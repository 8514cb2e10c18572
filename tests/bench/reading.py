"""What an answer costs: commands in real gdb and lldb, on a stopped process and on its core."""

import json
import os
import statistics
import subprocess
import sys
import tempfile

import debuggers

HERE = os.path.dirname(os.path.realpath(__file__))
PROBE = os.path.join(HERE, "debugger_probe.py")
PROGRAM = os.path.join(HERE, "live_blocks.py")

FRAMES = 25
LOAD_PROBE = {"gdb": "source %s" % PROBE, "lldb": "command script import %s" % PROBE}

# What is asked, and how often: the median counts.
COMMANDS = (("tm-top lineno", 5), ("tm-traceback {address}", 5), ("tm-traces -n 3", 3), ("tm-verify", 3))


def commands_of_engine():
    """The names of all commands."""
    sys.path.insert(0, debuggers.PACKAGE_PATH)
    from tracemortem.debugger import engine

    return engine.Engine().commands()


def measure(python, sizes, say):
    """A row for each size, debugger, place and command: medians of what debugger_probe wrote."""
    known = commands_of_engine()
    asked = [(command, times) for command, times in COMMANDS if command.split()[0] in known]
    rows = []
    for size in sizes:
        say("a program with %d live blocks" % size)
        with tempfile.TemporaryDirectory(prefix="tm-bench-") as folder:
            process = debuggers.start_traced_process(python, PROGRAM, [str(size)], frames=FRAMES)
            with process:
                core = debuggers.gcore(process.pid, os.path.join(folder, "core"))
                places = {"live": {"pid": process.pid}, "core": {"core": core, "program": python}}
                for debugger in debuggers.DEBUGGERS:
                    for place, target in places.items():
                        say("%s, %s, %d blocks" % (debugger, place, size))
                        words = [command.format(address=process.first_line) for command, _ in asked]
                        costs = run(debugger, words, [times for _, times in asked], folder, target)
                        for (command, _), cost in zip(asked, costs):
                            row = {"blocks": size, "debugger": debugger, "place": place, "command": command.split()[0]}
                            rows.append(dict(row, **cost))
    return rows


def run(debugger, commands, times, folder, target):
    """The costs of each command, medians of its repetitions, in one debugger."""
    path = os.path.join(folder, "costs")
    open(path, "w", encoding="utf-8").close()
    lines = [LOAD_PROBE[debugger]]
    for command, count in zip(commands, times):
        lines += [command] * count
    with debuggers.command_line(debugger, lines, **target) as words:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, TM_BENCH_COSTS=path),
        )
    with open(path, encoding="utf-8") as file:
        costs = [json.loads(line) for line in file]
    if done.returncode or len(costs) != sum(times):
        last_words = done.stdout.decode(errors="replace")[-2000:]
        raise RuntimeError("%s failed:\n%s" % (debugger, last_words))
    taken, start = [], 0
    for count in times:
        runs = costs[start : start + count]
        cost = {what: statistics.median(run[what] for run in runs) for what in runs[0]}
        # The first run grows the memory that later runs use again; it is also the longest wait that a user meets.
        cost.update((what, max(run[what] for run in runs)) for what in ("grown", "silence"))
        taken.append(cost)
        start += count
    return taken

"""What reading a stock process costs: 3,000,000 traces of CPython's own tracemalloc, read by the debuggers and from inside.

One process allocates and waits. gdb on its core, and lldb and gdb on the process itself, run `tm-top`; then the process
goes on and times tracemalloc's take_snapshot().statistics('lineno') on the same traces. The time is the command's alone,
without the debugger's start; the memory is the most which the debugger took, and what the process took more than before.
"""

import argparse
import os
import re
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

import debuggers  # noqa: E402

PROGRAM = """
import gc, os, sys, time, tracemalloc

def resident():
    with open("/proc/self/status") as file:
        return int(file.read().split("VmHWM:")[1].split()[0])

count = %d
gc.disable()
source = "".join("def make_%%d(n):\\n    return [bytes(40) for _ in range(n)]\\n" %% i for i in range(100))
space = {}
exec(compile(source, "generated.py", "exec"), space)
kept = [space["make_%%d" %% i](count // 100) for i in range(100)]
os.write(int(os.environ["TM_READY"]), b"ready\\n")
sys.stdin.readline()
before, began = resident(), time.perf_counter()
snapshot = tracemalloc.take_snapshot()
snapshot.statistics("lineno")
seconds = time.perf_counter() - began
line = "%%f %%d %%d\\n" %% (seconds, resident() - before, len(snapshot.traces))
os.write(int(os.environ["TM_READY"]), line.encode())
"""
CLOCK = "import resource, time; began = time.perf_counter()"
STOP = "print('MEASURED', time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"


def measure(debugger, **target):
    """Seconds and KiB of one tm-top."""
    word = {"gdb": "python", "lldb": "script"}[debugger]
    lines = ["%s %s" % (word, CLOCK), "tm-top", "%s %s" % (word, STOP)]
    run = debuggers.run_debugger(debugger, lines, **target)
    found = re.search(r"^MEASURED ([\d.]+) (\d+)", run.stdout, re.MULTILINE)
    if run.status or not found:
        sys.exit("%s: %s%s" % (debugger, run.stdout, run.stderr))
    return float(found.group(1)), int(found.group(2))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--python", default=sys.executable, help="the interpreter to look at")
    parser.add_argument("--traces", type=int, default=3000000, help="how many (default: 3000000)")
    parser.add_argument("--frames", type=int, default=1, help="frames of each (default: 1)")
    arguments = parser.parse_args()
    debuggers.PATIENCE = 3600
    command = [arguments.python, "-X", "tracemalloc=%d" % arguments.frames, "-c", PROGRAM % arguments.traces]
    rows = []
    with tempfile.TemporaryDirectory(prefix="tm-bench-") as folder, debuggers.start_process(command) as process:
        core = debuggers.gcore(process.pid, os.path.join(folder, "core"))
        ways = [
            ("core in gdb", "gdb", {"core": core, "program": arguments.python}),
            ("core in gdb, without the executable", "gdb", {"core": core}),
            ("live in lldb", "lldb", {"pid": process.pid}),
            ("live in gdb", "gdb", {"pid": process.pid}),
        ]
        rows = [(name,) + measure(debugger, **target) for name, debugger, target in ways]
        process.tell()
        seconds, memory, traces = (float(word) for word in process.ready().split())
    print("`tm-top` on %d traces of CPython's own, %d frames at most each:\n" % (traces, arguments.frames))
    print("| stock | seconds | the debugger's memory, MiB | in-process takes |\n| --- | ---: | ---: | ---: |")
    for name, taken, used in rows:
        print("| %s | %.2f | %.0f | %.1fx |" % (name, taken, used / 1024, seconds / taken))
    print("| in-process `take_snapshot().statistics('lineno')` | %.2f | %.0f more | |" % (seconds, memory / 1024))


if __name__ == "__main__":
    main()

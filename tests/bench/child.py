"""Runs in the interpreter to measure, in a process of its own, traced or not: `child.py WHAT ARGUMENT...`.

Prints one JSON object about itself on what was its standard output; what the measured code prints is thrown away.
What can be asked for is in WHAT below, or `nothing`: a program which is over before it begins. Knows nothing of how it
is traced.
"""

import os
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
# Where Debian's packages of pure Python are. Last, so that an interpreter's own modules come first.
DEBIAN = "/usr/lib/python3/dist-packages"


def status(field):
    """A figure of /proc/self/status, in KiB. VmHWM is of this process alone; getrusage() starts with the parent's."""
    with open("/proc/self/status", "rb") as file:
        for line in file:
            if line.startswith(field.encode() + b":"):
                return int(line.split()[1])
    raise KeyError(field)


def costs(work):
    """What it costs to call `work`: seconds of processor time and of the clock, and the process's peak of memory."""
    began_cpu, began = time.process_time(), time.perf_counter()
    kept = work()
    result = {"cpu": time.process_time() - began_cpu, "wall": time.perf_counter() - began}
    del kept
    result["resident"] = status("VmHWM")
    return result


def program(name):
    """A whole program with its imports."""
    sys.path.insert(0, os.path.join(HERE, "programs"))
    if DEBIAN not in sys.path:
        sys.path.append(DEBIAN)
    return costs(lambda: __import__(name).run())


def micro(*names):
    import micro as cases

    return cases.measure(names)


def special(name, *arguments):
    import special as cases

    return getattr(cases, name)(*map(int, arguments))


def start():
    """What it costs to start tracing for the first time in a running program."""
    import tracemortem._tracer as tracer

    return costs(lambda: tracer.start(1))


WHAT = {function.__name__: function for function in (program, micro, special, start)}


def main(what, *arguments):
    if what == "nothing":  # not even imports
        print('{"resident": %d}' % status("VmHWM"))
        return
    out = os.dup(1)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2) if what == "program" else None
    try:
        answer = WHAT[what](*arguments)
    except Exception as error:
        answer = {"error": "%s: %s" % (type(error).__name__, (str(error).strip() or "no reason given").split("\n")[0])}
    import json

    with os.fdopen(out, "w") as file:
        json.dump(answer, file)


if __name__ == "__main__":
    main(*sys.argv[1:])

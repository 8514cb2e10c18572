"""A process that hangs inside CPython's own tracemalloc can be asked, from every side, and no debugger hangs too.

Up to 3.12 PyTraceMalloc_Track() takes the interpreter's lock. A pool of C threads that reports its blocks hangs for ever
if the thread that waits for it holds the lock (python/cpython#130093).
"""

import json
import os
import subprocess
import time

import debuggers
import pytest
import pythons
from selection import thorough

LIVES = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "lives")
LINES = ["tm-info --json", "tm-top --json -n 1 --include '*/pool.py'", "tm-traces --json -n 1000 --include '*/pool.py'"]


def wait_until_it_hangs(process):
    """All of its threads sleep, and go on sleeping."""
    asleep, end = 0, time.monotonic() + debuggers.PATIENCE
    while asleep < 10:
        assert time.monotonic() < end
        states = []
        for thread in os.listdir("/proc/%d/task" % process.pid):
            with open("/proc/%d/task/%s/stat" % (process.pid, thread)) as file:
                states.append(file.read().rpartition(")")[2].split()[0])
        asleep = asleep + 1 if len(states) == 5 and set(states) == {"S"} else 0
        time.sleep(0.05)


@pytest.fixture(scope="module")
def hung(tmp_path_factory):
    """The process, and a core of it."""
    able = [python for python in pythons.find() if python.version < (3, 13)]
    if not able:
        pytest.skip("no CPython whose tracemalloc takes the interpreter's lock")
    python, folder = able[-1].path, tmp_path_factory.mktemp("hung")
    code = "import sysconfig; print(sysconfig.get_path('include'))"
    include = subprocess.check_output([python, "-c", code], universal_newlines=True).strip()
    if not os.path.exists(os.path.join(include, "Python.h")):
        pytest.skip("%s has no headers" % python)
    source, library = os.path.join(LIVES, "pool.c"), str(folder / "pool.so")
    subprocess.run(["gcc", "-shared", "-fPIC", "-I" + include, "-o", library, source, "-lpthread"], check=True)
    words = [python, "-X", "tracemalloc=5", os.path.join(LIVES, "programs", "pool.py"), str(folder), "hang"]
    with debuggers.start_process(words) as process:
        wait_until_it_hangs(process)
        yield process, debuggers.gcore(process.pid, folder / "core")


@thorough
@pytest.mark.parametrize("way", ["live", "core", "served"])
@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_process_that_hangs_inside_tracemalloc_answers(hung, debugger, way):
    process, core = hung
    if way == "served":
        with debuggers.served(process.pid) as port:
            connect = [line % port if "%s" in line else line for line in debuggers.CONNECT[debugger]]
            answers = debuggers.answers(debugger, connect + LINES + ["detach"])[len(connect) : -1]
    else:
        answers = debuggers.answers(debugger, LINES, **({"core": core} if way == "core" else {"pid": process.pid}))
    info, top, traces = map(json.loads, answers)
    assert (info["source"], info["tracing"], info["locked"]) == ("stock", True, False)
    assert info["missing"]["first_address"] is None
    line = traces["traces"][0]["traceback"][-1]["lineno"]
    sizes = sorted(trace["size"] for trace in traces["traces"] if trace["traceback"][-1]["lineno"] == line)
    assert [size for size in sizes if size > 9000] == list(range(9033, 9133))
    (row,) = top["statistics"]
    assert row["lineno"] == line and row["size"] == sum(sizes)

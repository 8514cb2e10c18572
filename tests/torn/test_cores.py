"""Cores made by the kernel at random moments, of threads at work: each block of a known line has one of that line's sizes
and a traceback of the program's. Counters and blocks differ at most by the updates in flight.

TM_CORES is the number of cores; `make torn` makes more of them than the tests.
"""

import os
import random
import re
import sys
import time

import pytest

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import debuggers  # noqa: E402
import looking  # noqa: E402
import run  # noqa: E402

PROGRAM = os.path.join(HERE, "programs", "constant.py")
CORES = int(os.environ.get("TM_CORES", "2"))
THREADS = 4
LARGEST = 200033


def known_sizes():
    """{line: its sizes}."""
    with open(PROGRAM) as file:
        marked = [(n, re.search(r"# sizes ([\d ]+)$", line)) for n, line in enumerate(file, 1)]
    return {n: set(map(int, match.group(1).split())) for n, match in marked if match}


def check_block(trace, sizes):
    """True if its line is a known one."""
    frames = [(frame["filename"], frame["lineno"]) for frame in trace["traceback"]]
    if frames[-1][0] != PROGRAM or frames[-1][1] not in sizes:
        return False
    assert trace["size"] in sizes[frames[-1][1]], trace
    callers = [line for name, line in frames[:-1] if name == PROGRAM]
    with open(PROGRAM) as file:
        lines = [""] + file.read().split("\n")
    assert [lines[line].strip() for line in callers] in (["keep(kept)"], ["nested(kept)", "keep(kept)"]), trace
    return True


@pytest.mark.parametrize("number", range(CORES))
@pytest.mark.parametrize("python", run.chosen_pythons(), ids=lambda python: "%d.%d.%d" % python.version)
def test_a_core_of_any_moment_is_consistent(python, number, tmp_path):
    environment = {"PYTHONDONTWRITEBYTECODE": "1"}
    core = tmp_path / "core"
    with debuggers.start_traced_process(
        python.path, PROGRAM, frames=5, preload=True, environment=environment, folder=tmp_path
    ) as process:
        time.sleep(random.uniform(0.02, 0.3))
        debuggers.kernel_core(process, core)
    info = looking.answer("tm-info", core=core)
    top = looking.answer("tm-top traceback -n 1", core=core)
    traces = looking.answer("tm-traces -n 10000000", core=core)
    assert looking.answer("tm-verify", core=core)["verdict"] == "healthy"
    for answer in (info, top, traces):
        assert not any(answer["missing"].values()), answer
    sizes = known_sizes()
    assert sum(check_block(trace, sizes) for trace in traces["traces"]) > THREADS
    assert abs(traces["total_count"] - info["blocks"]) <= THREADS + 1
    assert abs(traces["total_size"] - info["traced_memory"]) <= (THREADS + 1) * LARGEST
    if traces["total_size"] != info["traced_memory"]:
        assert info["in_flight"] > 0 or info["resizing"] > 0
    os.unlink(str(core))

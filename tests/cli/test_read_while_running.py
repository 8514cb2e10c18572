"""No row of a running process is wrong, although its records are used again for others while they are read.

Strategy: programs/truth.py, whose rows can be checked by themselves, under the least TRACEMORTEM_RECORDS that it can do with:
its sites are collected some fifty times a second. Each answer is asked for TM_READS times (1000 before a release), of the
process and of its recorder's file.
"""

import json
import os
import re

import debuggers
import pytest
import pythons
from cli_command import run
from selection import light, thorough

READS = int(os.environ.get("TM_READS", "20"))
PROGRAM = os.path.join(os.path.dirname(os.path.realpath(__file__)), "programs", "truth.py")


@pytest.fixture(scope="module", params=["lean", "full", "lean file", "full file"])
def moving(request, python, tmp_path_factory):
    """A process that never pauses; `target` is it, or its recorder's file."""
    detail, _, in_file = request.param.partition(" ")
    environment = {"TRACEMORTEM_RECORDS": "5000", "TRACEMORTEM_DETAIL": detail}
    if in_file:
        environment["TRACEMORTEM_FILE"] = str(tmp_path_factory.mktemp("files"))
    with debuggers.start_traced_process(python, PROGRAM, frames=5, preload=True, environment=environment) as process:
        process.detail, process.target = detail, process.pid
        if in_file:
            (name,) = os.listdir(environment["TRACEMORTEM_FILE"])
            process.target = os.path.join(environment["TRACEMORTEM_FILE"], name)
        yield process


def number_of(traceback):
    """N, if /truth/N.py allocated this; the frames must then be those of N. Else None."""
    newest = traceback[-1]
    found = re.fullmatch(r"/truth/(\d+)\.py", newest["filename"])
    if not found:
        return None
    number = int(found.group(1))
    assert newest["lineno"] == number, traceback
    for frame in traceback[-2:-1]:
        assert (frame["filename"], frame["lineno"]) == ("/middle/%d.py" % number, number), traceback
    return number


def ask(process, *words):
    """The answer, of a moment in which the process did not pause."""
    outcome = run(words[0], process.target, *words[1:], "--json")
    assert outcome.status == 0, outcome
    return json.loads(outcome.stdout)


@light(lambda moving: moving in ("lean", "lean file"))
def test_no_row_is_wrong(moving):
    checked = moved = 0
    for _ in range(READS):
        answer = ask(moving, "top", "traceback", "-n", 1000000)
        moved += answer.get("read_while_running", False)
        for row in answer["statistics"]:
            number = number_of(row["traceback"])
            if number:
                # Counters are changed one after the other: one update of a site may be in flight.
                tolerance = 0 if moving.detail == "lean" else number + 33
                assert abs(row["size"] - row["count"] * (number + 33)) <= tolerance, row
                checked += 1
    assert checked > 100 * READS and moved > READS / 2


@thorough
def test_no_block_is_wrong(moving):
    checked = 0
    for _ in range(READS // 4):
        for block in ask(moving, "traces", "-n", 1000000, "--include", "/truth/*")["traces"]:
            number = number_of(block["traceback"])
            assert number and block["size"] == number + 33, block
            checked += 1
    assert checked > 50 * (READS // 4)


@thorough
def test_no_traceback_of_an_address_is_wrong(moving):
    found = 0
    blocks = ask(moving, "traces", "-n", 1000000, "--include", "/truth/*")["traces"]
    for block in (blocks * READS)[:READS]:
        outcome = run("traceback", moving.target, hex(block["address"]), "--json")
        if outcome.status:
            continue  # it is free now
        for answer in json.loads(outcome.stdout)["blocks"]:
            number = number_of(answer["traceback"])
            assert not number or answer["size"] == number + 33, answer
            found += bool(number)
    assert found > READS / 8


@thorough
@pytest.mark.parametrize("other", [python.path for python in pythons.find()[:1]])
def test_no_row_of_the_oldest_is_wrong(other):
    environment = {"TRACEMORTEM_RECORDS": "5000", "TRACEMORTEM_DETAIL": "lean"}
    with debuggers.start_traced_process(other, PROGRAM, frames=5, environment=environment) as process:
        process.detail, process.target = "lean", process.pid
        test_no_row_is_wrong(process)

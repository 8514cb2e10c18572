"""A million tracebacks are exported in seconds, and the export needs little memory beside the snapshot that every command
takes; their page has at most a megabyte.

Strategy: a process of its own asks for each format, and for tm-top of the same tracebacks, and says what it took: seconds
of processor time, and its largest size in memory.
"""

import json
import os
import subprocess
import sys

import debuggers
import pytest
from exporting import HERE, has_page
from selection import thorough

pytestmark = thorough

DEPTH = 20
TRACEBACKS = 2**DEPTH
MIB = 1 << 20


@pytest.fixture(scope="module")
def measured():
    """A function that measures one command line on the process."""
    script = os.path.join(HERE, "programs", "paths.py")
    environment = {"TRACEMORTEM_RECORDS": "4000000"}
    with debuggers.start_traced_process(
        "/usr/bin/python3", script, [DEPTH], frames=DEPTH + 5, environment=environment
    ) as process:

        def measure(line):
            command = [sys.executable, os.path.join(HERE, "measure.py"), str(process.pid), line]
            answer = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=debuggers.PATIENCE)
            return json.loads(answer.stdout.decode())

        yield measure


@pytest.fixture(scope="module")
def usual(measured):
    """What tm-top takes for the same tracebacks."""
    return measured("tm-top traceback -n 1")


@pytest.mark.parametrize("name", ["collapsed", "speedscope", "pprof", "csv", "json", "html"])
def test_a_million_tracebacks(measured, usual, name):
    if name == "html" and not has_page():
        pytest.skip("built without the page: npm fetched no libraries")
    took = measured("tm-export %s file" % name)
    assert took["answer"]["rows"] >= TRACEBACKS
    assert took["answer"]["total_size"] >= TRACEBACKS * 40
    # Processor time of a loaded machine varies, but not tenfold: this takes three seconds.
    assert took["seconds"] < 30
    # tm-top keeps a row for each traceback, which an export does not.
    assert took["memory"] < usual["memory"] + 256 * MIB
    if name == "html":
        assert took["written"] <= 1000000 and took["answer"]["whole_tracebacks"] < TRACEBACKS

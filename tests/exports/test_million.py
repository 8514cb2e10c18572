"""A million tracebacks are exported within 256 MiB of memory, in seconds, in each format and in both profiles; their page
has at most a megabyte.

Strategy: the command line exports a process with 2 ** 20 tracebacks of 20 frames; the kernel says how much memory it had at
most, and how much processor time it took.
"""

import json
import os
import subprocess

import debuggers
import pytest
from exporting import HERE, has_page
from selection import thorough

pytestmark = thorough

COMMAND = os.path.join(debuggers.BUILD, "bin", "tracemortem")
DEPTH = 20
TRACEBACKS = 2**DEPTH
MIB = 1 << 20


@pytest.fixture(scope="module", params=["lean", "full"])
def process(request):
    if not os.path.exists(COMMAND):
        pytest.skip("built without the command: it needs libdw-dev")
    script = os.path.join(HERE, "programs", "paths.py")
    environment = {"TRACEMORTEM_RECORDS": "4000000", "TRACEMORTEM_DETAIL": request.param}
    with debuggers.start_traced_process(
        "/usr/bin/python3", script, [DEPTH], frames=DEPTH + 5, environment=environment
    ) as started:
        yield started


def measure(*words):
    """What the command answers as JSON, its seconds of processor time, and the most memory that it had, in bytes."""
    with subprocess.Popen([COMMAND, *map(str, words), "--json"], stdout=subprocess.PIPE) as command:
        answer = command.stdout.read()
        _, status, usage = os.wait4(command.pid, 0)
        command.returncode = status
    assert status == 0
    return json.loads(answer.decode()), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


@pytest.mark.parametrize("name", ["collapsed", "speedscope", "pprof", "csv", "json", "html"])
def test_a_million_tracebacks(process, tmp_path, name):
    if name == "html" and not has_page():
        pytest.skip("built without the page: npm fetched no libraries")
    answer, seconds, memory = measure("export", process.pid, name, tmp_path / "file")
    os.unlink(tmp_path / "file")
    assert answer["rows"] >= TRACEBACKS
    assert answer["total_size"] >= TRACEBACKS * 40
    assert memory < 256 * MIB
    # Processor time of a loaded machine varies, but not tenfold: this takes three seconds.
    assert seconds < 30
    if name == "html":
        assert answer["bytes"] <= 1000000 and answer["whole_tracebacks"] < TRACEBACKS

"""`tracemortem start` of CPython 3.14 and later, which is asked to run a script: what becomes of the request."""

import glob
import os

import cli_command
import pytest
import pythons
from selection import thorough
from test_switch_commands import UNINTERRUPTIBLE, WAITS, is_traced, program, switch

NEW = [version for version in pythons.find() if version.version >= (3, 14)]
pytestmark = pytest.mark.skipif(not NEW, reason="no CPython 3.14 or later")

# The script begins, and does not end.
BEGINS = """
import sys, time
def hook(event, arguments):
    if event == "cpython.remote_debugger_script":
        time.sleep(1000)
sys.addaudithook(hook)
while True: pass
"""
# Its other thread cannot be held still when the request is withdrawn, because the main thread waits.
CANNOT_BE_HELD = """
import glob, threading, time
def stay():
    while not glob.glob("/tmp/tracemortem-*/switch.py"): time.sleep(0.01)
    time.sleep(0.5)
%s
threading.Thread(target=stay, daemon=True).start()
time.sleep(1000)
""" % "\n".join(
    "    " + line for line in UNINTERRUPTIBLE.splitlines()
)


def folders():
    return set(glob.glob("/tmp/tracemortem-*"))


@thorough
def test_a_script_that_does_not_end_is_not_waited_for_without_end():
    before = folders()
    with program(BEGINS, NEW[-1].path) as process:
        outcome = switch("start", process.pid, "--timeout", "2s")
        (left,) = folders() - before
        assert outcome.status == 1 and "has begun to run a script that switches it" in outcome.stderr, outcome
        assert outcome.stderr.endswith("is left: remove %s then\n" % left)
        for name in os.listdir(left):
            os.unlink(os.path.join(left, name))
        os.rmdir(left)


@thorough
def test_a_request_is_withdrawn_as_soon_as_the_threads_can_be_held():
    before = folders()
    with program(CANNOT_BE_HELD % 3, NEW[-1].path) as process:
        outcome = cli_command.run("start", process.pid, "--yes", "--max-stop", "500ms", "--timeout", "30s")
        assert outcome.status == 0 and is_traced(process.pid), outcome
        assert folders() == before and process.popen.poll() is None

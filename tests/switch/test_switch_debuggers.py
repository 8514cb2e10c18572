"""tm-start and tm-stop: the same switch at a debugger's prompt."""

import cli_command
import debuggers
import pytest
import pythons
from selection import is_newest, light

READY = "import os; os.write(int(os.environ['TM_READY']), b'1\\n')\n"
WAITS = {"waits": "import threading; threading.Event().wait()", "works": "while True: [str(n) for n in range(1000)]"}
DEBUGGERS = ["gdb", "lldb"]


def program(python, how):
    return debuggers.start_process([python, "-c", READY + WAITS[how]])


def is_traced(pid):
    return cli_command.run("info", pid).stdout.startswith("tracing:           on since")


@light(lambda python, debugger, how: is_newest(python) and debugger == "gdb")
@pytest.mark.parametrize("how", WAITS)
@pytest.mark.parametrize("debugger", DEBUGGERS)
@pytest.mark.parametrize("python", pythons.find(), ids=pythons.name)
def test_a_process_is_started_and_stopped(python, debugger, how):
    with program(python.path, how) as process:
        told = ""
        for _ in range(10):  # all threads may run a library's code just then
            outcome = debuggers.run_debugger(debugger, ["tm-start -f 7"], pid=process.pid)
            told = outcome.stdout + outcome.stderr
            if "no thread is at a point" not in told:
                break
        assert "with 7 frames of each traceback" in told, told
        if how == "waits":
            assert "traced from now on" in told and is_traced(process.pid)
        while not is_traced(process.pid):  # as soon as it goes on
            assert process.popen.poll() is None
        if how == "waits":
            outcome = debuggers.run_debugger(debugger, ["tm-stop", "tm-stop"], pid=process.pid)
            assert "no longer traced" in outcome.stdout and "\nnot traced" in outcome.stdout, outcome
            assert not is_traced(process.pid)
        assert process.popen.poll() is None and process.stderr() == ""


@pytest.mark.parametrize("debugger", DEBUGGERS)
def test_what_they_say(debugger):
    """Help that fits and marks them, wrong words, no process."""
    for name in ("tm-start", "tm-stop"):
        text = debuggers.run_debugger(debugger, ["help " + name]).stdout
        assert "This changes it." in text and "The other commands only read." in text
        assert max(map(len, text.splitlines())) <= 80
    for line, why in {
        "tm-start -f 0": "tm-start: 0: not a number of frames from 1 to 65535",
        "tm-start --no": 'Type "tm-start --help" for its options and examples.',
        "tm-stop": "tm-stop: no live process, and a core cannot be changed",
    }.items():
        outcome = debuggers.run_debugger(debugger, [line])
        assert outcome.status == 1 and why in outcome.stdout + outcome.stderr, outcome

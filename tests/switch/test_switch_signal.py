"""TRACEMORTEM_SIGNAL: the first signal starts tracing, and the next one writes a snapshot and stops."""

import os
import re
import signal
import subprocess
import tracemalloc

import debuggers
import pytest
import pythons
from selection import is_newest, light, thorough

PYTHONS = pythons.find() + pythons.find_free_threaded()
NEWEST = pythons.find()[-1].path
READY = "import os; os.write(int(os.environ['TM_READY']), b'1\\n')\n"

# For each line of its input it allocates so many blocks; then it says so. It never runs Python code of its own otherwise.
SERVES = """
import sys
kept = []
def serve():
    for line in sys.stdin:
        kept.append([bytes(10000 + number) for number in range(int(line))])
        os.write(int(os.environ["TM_READY"]), b"1\\n")
serve()
"""


def program(folder, code=SERVES, python=NEWEST, name="RTMIN+5", **more):
    environment = {
        "LD_PRELOAD": debuggers.TRACER,
        "TRACEMORTEM": "dormant:5",
        "TRACEMORTEM_SIGNAL": name,
        "TRACEMORTEM_FILE": "%s/%%p.tm" % folder,
    }
    environment.update(more)
    return debuggers.start_process([python, "-c", READY + code], environment=environment)


WORD = re.compile("the process|cannot write")


def say(process, count=1):
    """Wait until the switch has said so many lines, and return them. The recorder says others."""
    for _ in range(200):
        lines = [line for line in process.stderr().splitlines() if WORD.search(line)]
        if len(lines) >= count:
            return lines
        subprocess.call(["sleep", "0.1"])
    raise AssertionError("the program says only:\n%s" % process.stderr())


def allocate(process, count):
    process.tell(str(count))
    process.ready()


def snapshot_of(line, folder):
    name = line.split(": ")[-1]
    assert os.path.dirname(name) == str(folder) and name.endswith(".snapshot")
    return tracemalloc.Snapshot.load(name)


def sizes(snapshot):
    found = [trace.size for trace in snapshot.traces if 10000 < trace.size < 11000]
    return sorted(found)


@light(lambda version: is_newest(version))
@pytest.mark.parametrize("version", PYTHONS, ids=pythons.name)
def test_a_hunt_by_signals_alone(version, tmp_path):
    with program(tmp_path, python=version.path) as process:
        number = signal.SIGRTMIN + 5
        allocate(process, 5)
        os.kill(process.pid, number)
        assert say(process) == ["tracemortem: the process %d is traced from now on; frames: 5" % process.pid]
        allocate(process, 7)
        os.kill(process.pid, number)
        lines = say(process, 2)
        assert "the process %d is no longer traced; its snapshot: " % process.pid in lines[1]
        snapshot = snapshot_of(lines[1], tmp_path)
        header = sizes_of_header(sizes(snapshot))
        assert sizes(snapshot) == [10000 + header + index for index in range(7)]
        assert snapshot.traceback_limit == 5
        os.kill(process.pid, number)
        say(process, 3)
        allocate(process, 2)
        os.kill(process.pid, number)
        assert len(sizes(snapshot_of(say(process, 4)[3], tmp_path))) == 2
        assert sum(name.endswith(".snapshot") for name in os.listdir(tmp_path)) == 2
        allocate(process, 1)


def sizes_of_header(found):
    """What CPython adds to bytes; another number in builds without the global lock."""
    return found[0] - 10000


FORKS = (
    """
import time
child = os.fork()
os.write(int(os.environ["TM_READY"]), b"%d\\n" % os.getpid())
"""
    + SERVES
)


@thorough
def test_a_forked_worker_is_hunted_alone(tmp_path):
    with program(tmp_path, code=FORKS + "os.wait()\n") as process:
        pids = {int(process.ready()), int(process.ready())}
        worker = (pids - {process.pid}).pop()
        for _ in range(2):
            os.kill(worker, signal.SIGRTMIN + 5)
            say(process, _ + 1)
        os.kill(worker, signal.SIGKILL)
        lines = say(process, 2)
        assert "the process %d is traced from now on" % worker in lines[0]
        assert ("tracemortem-%d-" % worker) in lines[1] and str(process.pid) not in lines[0]


@thorough
@pytest.mark.parametrize("wait", ["time.sleep(1000)", "threading.Event().wait()", "select.select([], [], [])"])
def test_a_program_that_waits_starts_at_once_and_goes_on_waiting(wait, tmp_path):
    with program(tmp_path, code="import select, threading, time\n" + wait) as process:
        os.kill(process.pid, signal.SIGRTMIN + 5)
        say(process)
        os.kill(process.pid, signal.SIGRTMIN + 5)
        assert "its snapshot" in say(process, 2)[1]
        assert process.popen.poll() is None


def test_a_signal_that_is_handled_or_nonsense_is_refused(tmp_path):
    # A program that ignores the signal, and becomes Python.
    code = "import signal; signal.signal(signal.SIGUSR2, signal.SIG_IGN); os.execv(%r, [%r, '-c', 'pass'])" % (
        NEWEST,
        NEWEST,
    )
    environment = dict(os.environ, LD_PRELOAD=debuggers.TRACER, TRACEMORTEM="dormant", TRACEMORTEM_SIGNAL="USR2")
    outcome = subprocess.run(
        [NEWEST, "-c", "import os; " + code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert outcome.returncode == 0
    assert outcome.stderr.decode() == (
        "tracemortem: TRACEMORTEM_SIGNAL=USR2: the program handles or ignores this signal itself; continuing without it\n"
    )
    for value in ("TERM", "11", "RTMIN+99", "5x"):
        environment["TRACEMORTEM_SIGNAL"] = value
        outcome = subprocess.run(
            [NEWEST, "-c", "print(1)"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert (outcome.returncode, outcome.stdout) == (0, b"1\n")
        assert outcome.stderr.decode().startswith(
            "tracemortem: TRACEMORTEM_SIGNAL=%s: not a signal for users (RTMIN+N, RTMAX-N, USR1, USR2)" % value
        )


def test_a_snapshot_that_cannot_be_written_leaves_tracing_on(tmp_path):
    with program(tmp_path, TRACEMORTEM_FILE="/nothing/there/x.tm") as process:
        os.kill(process.pid, signal.SIGRTMIN + 5)
        say(process)
        os.kill(process.pid, signal.SIGRTMIN + 5)
        assert "cannot write /nothing/there/tracemortem-%d-" % process.pid in say(process, 2)[1]
        assert say(process, 2)[1].endswith("No such file or directory; tracing goes on")
        allocate(process, 1)

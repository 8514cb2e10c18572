"""`tracemortem start` and `stop`: whom they switch, what they ask, and what they say when they cannot."""

import json
import os
import pty
import shutil
import signal
import subprocess
import time

import cli_command
import debuggers
import pytest
import pythons
from cli_command import COMMAND
from selection import is_newest, light, thorough

PYTHONS = pythons.find() + pythons.find_free_threaded()
NEWEST = pythons.find()[-1].path
READY = "import os; os.write(int(os.environ['TM_READY']), b'1\\n')\n"

# Each waits in another way; the last one never does.
WAITS = {
    "sleep": "import time; time.sleep(1000)",
    "select": "import select; select.select([0], [], [])",
    "poll": "import selectors; s = selectors.DefaultSelector(); s.register(0, selectors.EVENT_READ); s.select()",
    "poll with a time": "import select; select.poll().poll(10**7)",
    "accept": "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); s.accept()",
    "read": "os.read(0, 1)",
    "lock": "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "event": "import threading; threading.Event().wait()",
    "child": "import subprocess; subprocess.call(['sleep', '1000'])",
    "loop": "import asyncio; asyncio.run(asyncio.sleep(1000))",
    "signal": "import signal; signal.pause()",
    "never": "while True: pass",
}


def program(code=WAITS["sleep"], python=NEWEST, before=(), environment=None):
    return debuggers.start_process(list(before) + [python, "-c", READY + code], environment=environment)


def switch(*words, agreed=True, **options):
    """With patience for a busy machine."""
    words += ("--yes", "--max-stop", "20s") if agreed else ()
    return cli_command.run(*words, **options)


def is_traced(pid):
    outcome = cli_command.run("info", pid)
    return outcome.stdout.startswith("tracing:           on since")


@pytest.fixture
def idle():
    with program() as process:
        yield process


# ----------------------------------------------------------------------------------------------------------------------
# Whom


@light(lambda version, wait: is_newest(version) and wait in ("accept", "lock", "never"))
@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("version", PYTHONS, ids=pythons.name)
def test_a_program_that_waits_is_started_and_stopped_and_goes_on_waiting(version, wait):
    with program(WAITS[wait], version.path) as process:
        outcome = switch("start", process.pid, "-f", 7)
        begun = "process %d: traced from now on, with 7 frames of each traceback; it was held still for " % process.pid
        assert (outcome.status, outcome.stderr) == (0, "") and outcome.stdout.startswith(begun), outcome
        assert is_traced(process.pid)
        again = switch("start", process.pid)
        assert again.status == 1 and "traced already, with 7 frames of each traceback" in again.stdout
        stopped = switch("stop", process.pid)
        assert stopped.status == 0 and "no longer traced" in stopped.stdout
        assert switch("stop", process.pid).status == 3
        assert process.popen.poll() is None and process.stderr() == ""


SERVES = """
import sys
kept = []
for line in sys.stdin:
    kept.append([bytes(10000 + number) for number in range(int(line))])
    os.write(int(os.environ["TM_READY"]), b"1\\n")
"""


def test_what_is_allocated_from_then_on_is_traced_exactly():
    with program(SERVES) as process:
        for count, command in (("5", "start"), ("37", None), ("0", "stop"), ("3", "start"), ("11", None)):
            process.tell(count)
            process.ready()
            if command:
                assert switch(command, process.pid).status == 0
        sizes = [10033 + number for number in range(11)]
        traces = ask_json("traces", process.pid, "-n", 1000)["traces"]
        assert sorted(trace["size"] for trace in traces if 10000 < trace["size"] < 11000) == sizes


def ask_json(*words):
    outcome = cli_command.run(*words, "--json")
    assert outcome.status == 0, outcome
    return json.loads(outcome.stdout)


@thorough
def test_all_children_are_switched():
    fork = "for _ in range(3):\n    if os.fork() == 0: break\nos.write(int(os.environ['TM_READY']), b'1\\n')\n"
    with program(fork + WAITS["sleep"], before=["setsid"]) as process:
        for _ in range(4):
            process.ready()
        try:
            outcome = switch("start", "--children", process.pid, "-f", 3)
            assert outcome.status == 0 and outcome.stdout.count("traced from now on") == 4, outcome
            assert "4 of 4 processes are traced" in cli_command.run("info", "--children", process.pid).stdout
            assert switch("stop", "--children", process.pid).stdout.count("no longer traced") == 4
        finally:
            os.killpg(process.pid, signal.SIGKILL)


@light(lambda version: is_newest(version))
@pytest.mark.parametrize("version", PYTHONS, ids=pythons.name)
@pytest.mark.parametrize("value", ["dormant", "dormant:9", ""])
def test_a_dormant_tracer_does_nothing_until_it_is_started(version, value):
    environment = {"LD_PRELOAD": debuggers.TRACER, "TRACEMORTEM": value}
    with program(python=version.path, environment=environment) as process:
        assert cli_command.run("info", process.pid).stdout.startswith("tracing:           off: never started")
        assert switch("start", process.pid).status == 0
        assert is_traced(process.pid) and process.stderr() == ""


def test_a_process_that_is_not_traced_can_be_says_the_answer(idle):
    outcome = cli_command.run("top", idle.pid, "--stop", "--max-stop", "20s")
    assert outcome.stderr.endswith("\nOr trace it as it runs, from now on: tracemortem start %d\n" % idle.pid)


# ----------------------------------------------------------------------------------------------------------------------
# The question


def test_nothing_is_done_without_consent(idle):
    outcome = switch("start", idle.pid, agreed=False)
    assert outcome.status == 2 and outcome.stdout == ""
    assert outcome.stderr.startswith("tracemortem start changes this process:\n  %d  %s " % (idle.pid, NEWEST))
    assert outcome.stderr.endswith("To agree beforehand, add --yes\n")
    assert not is_traced(idle.pid)


@pytest.mark.parametrize("answer, traced", [("y", True), ("n", False), ("", False)])
def test_it_is_asked_at_a_terminal(idle, answer, traced):
    terminal, end = pty.openpty()
    with subprocess.Popen(
        [COMMAND, "start", str(idle.pid), "--max-stop", "20s"],
        stdin=end,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as asked:
        os.write(terminal, answer.encode() + b"\n")
        _, error = asked.communicate(timeout=debuggers.PATIENCE)
    os.close(terminal)
    os.close(end)
    assert b"Continue? [y/N] " in error
    assert (asked.returncode, is_traced(idle.pid)) == ((0, True) if traced else (1, False))


@pytest.mark.parametrize(
    "words, why",
    [
        (["start"], "no process id"),
        (["start", "x"], "x: not a process id"),
        (["start", "1", "-f", "0"], "0: not a number of frames from 1 to 65535"),
        (["start", "1", "--detail", "some"], "some: not lean, full or sampled"),
        (["start", "1", "--timeout", "soon"], "soon: not a time, such as 500ms, 10s or 1m"),
        (["start", "1", "--inside", "here"], "here: not an absolute path"),
        (["start", "1", "--tracer", "/nothing"], "/nothing: there is no such tracer"),
        (["start", "1", "--name", "x"], "process ids, and options instead of them"),
        (["stop", "1", "-f", "1"], "-f: unknown option"),
    ],
)
def test_a_wrong_word_is_named(words, why):
    outcome = cli_command.run(*words)
    help_line = 'Type "tracemortem %s --help" for its options and examples.\n' % words[0]
    assert outcome.status == 2 and outcome.stderr.endswith("%s\n%s" % (why, help_line)), outcome


@pytest.mark.parametrize("command", ["start", "stop"])
def test_the_help_fits(command):
    outcome = cli_command.run(command, "--help")
    assert outcome.status == 0 and "This changes it.\n" in outcome.stdout
    assert max(map(len, outcome.stdout.splitlines())) <= 80
    assert cli_command.run("help", command).stdout == outcome.stdout
    offered = cli_command.run("--complete", command, "--").stdout.split()
    assert set(offered) <= set(outcome.stdout.replace(",", " ").split()) and "--yes" in offered


# ----------------------------------------------------------------------------------------------------------------------
# Why not


def refused(*words, **options):
    """What it says, having changed nothing."""
    outcome = switch(*words, **options)
    assert outcome.status in (1, 4) and outcome.stdout == "", outcome
    return outcome.stderr


def test_a_process_that_is_no_python():
    with subprocess.Popen(["sleep", "1000"]) as process:
        try:
            assert "has no Python whose symbols can be found" in refused("start", process.pid)
        finally:
            process.kill()
    assert "there is no process" in refused("start", 999999999)


def test_a_process_that_is_stopped(idle):
    os.kill(idle.pid, signal.SIGSTOP)
    os.waitpid(idle.pid, os.WUNTRACED)
    assert refused("start", idle.pid).endswith("is stopped\nLet it go on first: kill -CONT %d\n" % idle.pid)


# For some seconds its thread is in a system call that nothing interrupts: that of vfork(), whose child sleeps.
UNINTERRUPTIBLE = """
import ctypes
libc = ctypes.CDLL(None)
stack = ctypes.create_string_buffer(1 << 16)
CLONE_VM, CLONE_VFORK = 0x100, 0x4000
os.write(int(os.environ["TM_READY"]), b"1\\n")
libc.clone(libc.sleep, ctypes.c_void_p(ctypes.addressof(stack) + (1 << 16)), CLONE_VM | CLONE_VFORK | 17, %d)
os.write(int(os.environ["TM_READY"]), b"1\\n")
"""


def start_with_one_that_does_not_stop(seconds, idle):
    with program(UNINTERRUPTIBLE % seconds + WAITS["sleep"]) as process:
        process.ready()
        while "State:\tD" not in open("/proc/%d/status" % process.pid).read():
            time.sleep(0.01)
        outcome = cli_command.run("start", process.pid, idle.pid, "--yes", "--max-stop", "500ms")
        assert "the process %d is not still in time" % process.pid in outcome.stderr, outcome
        process.ready()
        assert process.popen.poll() is None
        return outcome


@thorough
def test_others_are_not_tried_while_a_thread_may_still_stop(idle):
    outcome = start_with_one_that_does_not_stop(6, idle)
    assert outcome.status == 1 and outcome.stderr.endswith("so it ends now\nNot tried: %d\n" % idle.pid), outcome
    assert not is_traced(idle.pid)


@thorough
def test_a_thread_that_stops_late_is_let_go_before_others_are_tried(idle):
    outcome = start_with_one_that_does_not_stop(2, idle)
    assert "process %d: traced from now on" % idle.pid in outcome.stdout and is_traced(idle.pid), outcome


def test_a_process_that_a_debugger_holds(idle):
    command = "shell %s start %d --yes" % (COMMAND, idle.pid)
    output = debuggers.run_gdb([command], pid=idle.pid)
    assert "a debugger or strace holds the process %d" % idle.pid in output.stdout + output.stderr
    assert "In gdb and lldb: tm-start, tm-stop" in output.stdout + output.stderr


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="another user needs root")
def test_a_process_of_another_user(idle, tmp_path_factory):
    copy = shutil.copy(COMMAND, "/tmp/tracemortem-of-%d" % os.getpid())
    try:
        nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        words = nobody + [copy, "start", str(idle.pid), "--yes", "--tracer", "/dev/null"]
        outcome = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    finally:
        os.unlink(copy)
    assert outcome.returncode == 4
    assert b"It is of user 0, and you are 65534: become root (sudo) or that user" in outcome.stderr


def test_a_file_that_is_no_tracer(idle):
    assert "cannot load the tracer: the tracer is no ELF file" in refused("start", idle.pid, "--tracer", "/etc/passwd")
    library = "/lib/x86_64-linux-gnu/libz.so.1"
    if os.path.exists(library):
        assert "is no tracer of this version" in refused("start", idle.pid, "--inside", library)
    assert "cannot open shared object file" in refused("start", idle.pid, "--inside", "/nothing")
    assert switch("start", idle.pid).status == 0


@pytest.mark.skipif(os.getuid() != 0, reason="mount namespaces need root")
@thorough
@pytest.mark.parametrize("places", ["writable", "none"])
def test_a_process_in_another_file_system(places):
    """It gets a copy of the tracer, of which nothing remains; or the message says where to put it."""
    hide = "mount -t tmpfs none %s; " % os.path.dirname(debuggers.BUILD)
    if places == "none":
        hide += "for d in /tmp /var/tmp /dev/shm /run; do mount -t tmpfs -o noexec none $d; done; "
    with program(before=["unshare", "--mount", "sh", "-c", hide + 'cd /; exec "$@"', "sh"]) as process:
        if places == "none":
            assert "to a folder that it sees, and say which: --inside FOLDER/_tracer.abi3.so" in refused(
                "start", process.pid
            )
            return
        before = set(os.listdir("/tmp"))
        assert switch("start", process.pid).status == 0 and is_traced(process.pid)
        assert not [name for name in set(os.listdir("/tmp")) - before if name.startswith("tracemortem-")]
        assert switch("stop", process.pid).status == 0
        assert switch("start", process.pid).status == 0


@thorough
def test_what_never_gives_up_pythons_lock_is_left_as_it_was():
    """A library that holds the lock and computes: no start within the time, and none later."""
    code = "import re; re.match('(a*)*b', 'a' * 26 + 'c')\nos.write(int(os.environ['TM_READY']), b'2\\n')\n"
    with program(code + WAITS["sleep"]) as process:
        outcome = switch("start", process.pid, "--timeout", "300ms")
        if process.popen.poll() is None and outcome.status != 0:
            assert "within 0.3 s" in outcome.stderr and "--timeout 60s" in outcome.stderr, outcome
            process.ready()
            assert not is_traced(process.pid)
            assert switch("start", process.pid).status == 0


def test_the_table_is_kept_in_a_file_that_outlives_the_process(tmp_path):
    with program(SERVES) as process:
        started = switch("start", process.pid, "-o", str(tmp_path) + "/", "-f", 3)
        assert started.status == 0, started
        process.tell("7")
        process.ready()
        process.popen.kill()
        process.popen.wait()
    (name,) = os.listdir(str(tmp_path))
    traces = ask_json("traces", str(tmp_path / name), "-n", 1000)["traces"]
    assert sum(10000 < trace["size"] < 11000 for trace in traces) == 7


def test_a_file_that_cannot_be_made_is_said_and_tracing_begins(idle):
    outcome = switch("start", idle.pid, "-o", "/nothing/there")
    assert outcome.status == 1 and outcome.stdout.endswith(
        "; the file could not be made; its standard error says why\n"
    )
    assert "TRACEMORTEM_FILE=/nothing/there: No such file or directory" in idle.stderr() and is_traced(idle.pid)
    assert switch("stop", idle.pid).status == 0
    assert (
        "has its place already, from an earlier start: leave out the file"
        in switch("start", idle.pid, "-o", "/x").stderr
    )

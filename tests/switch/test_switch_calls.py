"""What comes while a process is in a call of `tracemortem start`: signals, and seccomp's answers."""

import os
import signal
import subprocess

import debuggers
import pytest
from cli_command import COMMAND
from selection import light
from test_switch_commands import NEWEST, READY, WAITS, is_traced, program, switch

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="a call needs x86-64")

COUNTS = """
import signal
def count(number, frame): os.write(int(os.environ["TM_READY"]), b"1\\n")
for number in (signal.SIGFPE, signal.SIGSEGV, signal.SIGSYS): signal.signal(number, count)
"""


class SlowCall:
    """`tracemortem start`, whose call of dlopen() opens a pipe that nobody writes to."""

    def __init__(self, process, folder):
        self.pipe = str(folder / "pipe")
        os.mkfifo(self.pipe)
        words = [COMMAND, "start", str(process.pid), "--yes", "--max-stop", "20s", "--inside", self.pipe]
        self.command = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
        self.warning = self.command.stderr.readline() + self.command.stderr.readline()

    def end(self):
        """Its file is empty."""
        os.close(os.open(self.pipe, os.O_WRONLY))
        return self.command.communicate(timeout=debuggers.PATIENCE)[1]


@light(lambda: True)
def test_a_call_that_takes_long_says_so_and_signals_come_after_it(tmp_path):
    with program(COUNTS + WAITS["sleep"]) as process:
        call = SlowCall(process, tmp_path)
        assert "still waiting for the process %d, whose thread %d " % (process.pid, process.pid) in call.warning
        assert "Do not kill -9 this command" in call.warning
        for number in (signal.SIGSTOP, signal.SIGFPE, signal.SIGSEGV):
            os.kill(process.pid, number)
        assert "cannot load the tracer" in call.end() and call.command.returncode == 1
        os.waitpid(process.pid, os.WUNTRACED)
        assert "is stopped" in switch("start", process.pid).stderr
        os.kill(process.pid, signal.SIGCONT)
        process.ready()
        process.ready()
        assert switch("start", process.pid).status == 0 and is_traced(process.pid)
        assert process.popen.poll() is None and process.stderr() == ""


# A filter that answers openat() so.
FILTER = """
import ctypes, struct
def instruction(code, yes, no, value): return struct.pack("HBBI", code, yes, no, value)
code = ctypes.create_string_buffer(
    instruction(0x20, 0, 0, 0) + instruction(0x15, 0, 1, 257) + instruction(6, 0, 0, %#x) + instruction(6, 0, 0, 0x7fff0000)
)
libc = ctypes.CDLL(None, use_errno=True)
rules = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(code)))
import time
"""
INSTALL = """
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, rules, 0, 0) == 0, ctypes.get_errno()
"""
TRAP, KILL = 0x30000, 0x80000000


def filtered(answer, before=""):
    """It says that it is ready once it has the filter."""
    code = "import os\n" + before + FILTER % answer + INSTALL + READY + "time.sleep(1000)"
    return debuggers.start_process([NEWEST, "-c", code])


def test_a_system_call_that_seccomp_traps_fails_and_the_program_goes_on():
    with filtered(TRAP) as process:
        outcome = switch("start", process.pid)
        assert outcome.status == 1 and "cannot load the tracer" in outcome.stderr, outcome
        assert "Function not implemented" in outcome.stderr
        assert process.popen.poll() is None


def test_a_program_that_handles_what_seccomp_traps_keeps_its_handler():
    with filtered(TRAP, COUNTS) as process:
        outcome = switch("start", process.pid)
        assert outcome.status == 1 and "cannot load the tracer" in outcome.stderr, outcome
        os.kill(process.pid, signal.SIGSYS)
        process.ready()
        assert process.popen.poll() is None


def test_a_program_that_seccomp_ends_is_said_to_have_a_filter():
    with filtered(KILL) as process:
        outcome = switch("start", process.pid)
        assert outcome.status == 4 and "It has a seccomp filter, which is the\nlikely cause" in outcome.stderr, outcome
        assert process.popen.wait() == -signal.SIGSYS


def test_a_program_in_seccomps_strict_mode_is_left_alone():
    code = "import ctypes, os\nlibc = ctypes.CDLL(None)\n" + READY + "libc.prctl(22, 1, 0, 0, 0)\nos.read(0, 1)"
    with debuggers.start_process([NEWEST, "-c", code]) as process:
        outcome = switch("start", process.pid, "--timeout", "300ms")
        assert outcome.status != 0 and "seccomp's strict mode" in outcome.stderr, outcome
        assert process.popen.poll() is None

"""The engine without a debugger: what the tm- commands say about a process on this host or about a core file.

    info = looking.answer("tm-info", pid=process.pid)       # parsed JSON
    rows = looking.answer("tm-top lineno -n 0", core=path)

The process must be stopped or waiting. No debugger is started and nothing is attached: for tests that ask often.
"""

import json
import os
import signal
import sys

import debuggers

sys.path.insert(0, os.path.join(debuggers.ROOT, "src", "python"))
os.environ.setdefault("TRACEMORTEM_ENGINE", os.path.join(debuggers.BUILD, "lib", "libtracemortem.so"))

from tracemortem import _engine, corefile, memory  # noqa: E402
from tracemortem._engine import EngineError  # noqa: E402, F401

NO_TABLE, NOT_TRACING, FAULT = 4, 5, 8  # of enum tm_error_code


class _Output(_engine.Host):
    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


class _Process(memory.LocalProcess, _engine.Memory):
    """Has no symbols: the engine finds the table by its mapping's name, or by searching."""


def answer(line, pid=None, core=None):
    """What the command prints with --json. Raises EngineError where it fails."""
    if core is not None:
        with corefile.CoreFile(str(core)) as file:
            return ask(line, memory.CoreMemory(file))
    process = _Process(pid)
    try:
        return ask(line, process)
    finally:
        process.close()


def ask(line, target_memory):
    """The same for an _engine.Memory."""
    output = _Output()
    session = _engine.Session(_engine.Engine(), output)
    try:
        command, _, arguments = line.partition(" ")
        with _engine.Target(session, target_memory) as target:
            with session.request(command, arguments + " --json") as request:
                request.run(target)
    finally:
        session.close()
    return json.loads(output.text)


class standing_still:
    """Stops a process with all its threads, as a context."""

    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)
        while not memory._status(self.pid, rb"State:\s*(T)"):
            pass
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGCONT)

"""Runs tm- commands without a debugger, on a process of this host or on a core file.

    info = looking.answer("tm-info", pid=process.pid)       # parsed JSON
    rows = looking.answer("tm-top lineno -n 0", core=path)

The process must be stopped or waiting. This needs no debugger to attach: it is for tests that ask often.
"""

import json
import os
import signal
import sys

import debuggers

sys.path.insert(0, os.path.join(debuggers.ROOT, "src", "python"))
os.environ.setdefault("TRACEMORTEM_ENGINE", os.path.join(debuggers.BUILD, "lib", "libtracemortem.so"))

from tracemortem.debugger import core_file, engine, memory  # noqa: E402
from tracemortem.debugger.engine import EngineError  # noqa: E402, F401
from tracemortem.debugger.header import ErrorCode  # noqa: E402

NO_TABLE, NOT_TRACING, FAULT = ErrorCode.NO_TABLE, ErrorCode.NOT_TRACING, ErrorCode.FAULT


class _Output(engine.Host):
    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


class _Process(memory.LocalProcess, engine.Memory):
    """It has no symbols: the engine finds the table by its mapping's name, or searches for it."""


def answer(line, pid=None, core=None):
    """What the command prints with --json, parsed. Raises EngineError if it fails."""
    if core is not None:
        with core_file.CoreFile(str(core)) as file:
            return ask(line, memory.CoreMemory(file))
    process = _Process(pid)
    try:
        return ask(line, process)
    finally:
        process.close()


def ask(line, target_memory):
    """The same for an engine.Memory."""
    output = _Output()
    session = engine.Session(engine.Engine(), output)
    try:
        command, _, arguments = line.partition(" ")
        with engine.Target(session, target_memory) as target:
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

"""The shell between a debugger's command line and the engine: what gdb and lldb have in common.

A front end registers the commands, and hands each command line to `Shell.run()` with a `Debugger`, which says how its
debugger reads, evaluates and prints. All that can go wrong comes back as one CommandError. Knows no debugger and no
trace table; nothing of the target is decoded here.
"""

import contextlib
import linecache
import os
import re
import stat
import sys
import traceback

from . import _engine
from .corefile import CoreError, CoreFile, host_machine
from .expression import ExpressionError, refuse_side_effects
from .memory import FileMemory

INTERRUPTED = "interrupted"
RUNNING = "the process %d is running, and only a stopped one can be read\nStop it: %s"
GREATEST_SOURCE = 64 << 20  # bytes; what is bigger is no Python source, whatever the target says


class CommandError(Exception):
    """Why a command failed, for the user: what, why, and what to type next."""


class Debugger:
    """What a front end hands over for one command."""

    example = "&variable"  # an expression in the debugger's language

    def write(self, text):
        """Text for the user; may come in pieces."""
        raise NotImplementedError

    def warn(self, text):
        """A line for the user which is no part of the answer."""
        raise NotImplementedError

    def should_stop(self):
        """Whether the user pressed Ctrl-C. A KeyboardInterrupt raised anywhere does as well."""
        return False

    def current(self, shell):
        """A context manager: the selected process or core as a Memory, or None."""
        raise NotImplementedError

    def current_machine(self):
        """The ELF number of the current target's machine, or None."""
        return None

    def evaluate(self, text):
        """The value of an expression as an address. Runs nothing in the target and writes nothing to it. Raises
        ExpressionError."""
        raise NotImplementedError


class Shell(_engine.Host):
    """One engine session for a debugger. Raises EngineMissing when it is made."""

    def __init__(self):
        self.engine = _engine.Engine()
        self._session = _engine.Session(self.engine, self)
        self._debugger = None
        self._warned = set()

    def commands(self):
        return self.engine.commands()

    def help(self, command):
        return self.engine.help(command)

    def run(self, debugger, command, line):
        """Run one command line. Raises CommandError and nothing else."""
        outer, self._debugger = self._debugger, debugger
        try:
            linecache.checkcache()
            with self._session.request(command, line) as request:
                self._run(debugger, request)
        except (_engine.EngineError, CoreError) as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            raise CommandError(INTERRUPTED) from None
        except CommandError:
            raise
        except Exception as error:
            raise CommandError(_internal_error(error)) from None
        finally:
            self._debugger = outer

    def complete(self, command, line):
        """Full words which could stand for the last word of the line."""
        return self._session.complete(command, line)

    def operand_kind(self, command, line):
        """What the last word of the line would be, as an operand: _engine.CORE, _engine.EXPRESSION or None."""
        if not line or line[-1].isspace():
            line += "x"
        try:
            with self._session.request(command, line) as request:
                operands = request.operands()
        except _engine.EngineError:
            return None
        return operands[-1][0] if operands else None

    def open_checked(self, path, machine=None):
        """The CoreFile at this path; says so, once, if it is cut short. Raises CoreError."""
        core = CoreFile(path)
        core.require_machine(machine)
        warning = core.warning()
        if warning and warning not in self._warned:
            self._warned.add(warning)
            self._debugger.warn(warning)
        return core

    def _run(self, debugger, request):
        with contextlib.ExitStack() as stack:
            memory = stack.enter_context(debugger.current(self)) if request.needs_target() else None
            for index, (kind, text) in enumerate(request.operands()):
                if kind == _engine.CORE:
                    request.set_target(index, self._open_core(debugger, text, stack))
                elif kind != _engine.EXPRESSION:
                    raise CommandError("this front end is older than the engine: an operand of kind %d" % kind)
                else:
                    request.set_address(index, self._evaluate(debugger, text) if memory else 0)
            # Without a target there is nothing to evaluate on; the engine tells the user so.
            request.run(stack.enter_context(_engine.Target(self._session, memory)) if memory else None)

    def _evaluate(self, debugger, text):
        try:
            refuse_side_effects(text)
            return debugger.evaluate(text) % (1 << 64)
        except ExpressionError as error:
            raise CommandError(
                "cannot evaluate \"%s\": %s\nGive an address, such as 0x7f0123456780, or an expression, such as %s"
                % (text, error, debugger.example)
            ) from None

    def _open_core(self, debugger, text, stack):
        path = os.path.abspath(os.path.expanduser(text))
        core = self.open_checked(path, debugger.current_machine() or host_machine())
        memory = stack.enter_context(FileMemory(core))
        return stack.enter_context(_engine.Target(self._session, memory))

    # -- the engine's host --------------------------------------------------------------------------------------------

    def should_stop(self):
        return self._debugger.should_stop()

    def write(self, text):
        self._debugger.write(text)

    def source_line(self, file_name, line):
        return linecache.getline(file_name, line) if _is_source(file_name) else ""


def _is_source(file_name):
    """Whether linecache may read what the target calls a source file: never a device, a pipe, /proc, or a giant."""
    if not file_name or (file_name[0] == "<" and file_name[-1] == ">"):
        return False
    # linecache looks for relative names which are not there along sys.path.
    names = [file_name]
    if not os.path.isabs(file_name):
        names += [os.path.join(path, file_name) for path in sys.path]
    for name in names:
        try:
            status = os.stat(name)
        except (OSError, ValueError):
            continue
        return stat.S_ISREG(status.st_mode) and 0 < status.st_size <= GREATEST_SOURCE
    return False


def _internal_error(error):
    frames = traceback.extract_tb(error.__traceback__)
    where = " (%s:%d)" % (os.path.basename(frames[-1].filename), frames[-1].lineno) if frames else ""
    return "tracemortem failed by a fault of its own: %s: %s%s" % (type(error).__name__, error, where)

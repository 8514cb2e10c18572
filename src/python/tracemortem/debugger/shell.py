"""The shell between a debugger's command line and the engine: what gdb and lldb have in common.

A front end registers the commands, and hands each command line to `Shell.run()` with a `Debugger`, which says how its
debugger reads, evaluates and prints. All that can go wrong comes back as one CommandError. Knows no debugger and no
trace table; nothing of the target is decoded here.
"""

import contextlib
import json
import linecache
import os
import pickle
import stat
import sys
import traceback

from . import engine as _engine
from .core_file import CoreError, CoreFile, host_machine
from .expression import ExpressionError, refuse_side_effects
from .memory import CoreMemory
from .opened_core import OpenedCores
from .output_file import OutputError, OutputFile
from .progress import Progress
from .snapshot_file import SnapshotError, SnapshotFile, is_snapshot

INTERRUPTED = "interrupted"
RUNNING = "the process %d is running, and only a stopped one can be read\nStop it: %s"
ENDED = "the process %d has ended\nAttach to another, or open its core"
FILES = (_engine.CORE, _engine.OUTPUT, _engine.REPLACE)  # operands which are names of files
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

    def write_progress(self, text):
        """Show this at once where it disturbs no answer: on a terminal, or nowhere. It may begin with a \\r."""

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
        self._progress = None
        self._warned = set()
        self._opened = OpenedCores()
        self._file_root = ""  # before the names of the target's source files
        self._held = None  # pieces of an answer which is not to be shown yet, or not at all

    def commands(self):
        return self.engine.commands()

    def help(self, command):
        return self.engine.help(command)

    def run(self, debugger, command, line):
        """Run one command line. Raises CommandError and nothing else."""
        with self._guard(debugger):
            linecache.checkcache()
            with self._session.request(command, line) as request:
                self._run(debugger, request)

    def take_snapshot(self, debugger):
        """All traces of the current target, whatever filters are in force, as a tracemalloc.Snapshot of this Python.
        Raises CommandError."""
        form = "3.8" if sys.version_info < (3, 9) else "3.9"
        with self._guard(debugger), self._unfiltered() as session:
            pieces = []
            with session.request("tm-save", "--json --traces %s snapshot" % form) as request:
                answer = json.loads(self._ask(debugger, request, pieces.append))
            missing = sum(answer["missing"][kind + "_records"] for kind in ("unreadable", "corrupt", "torn"))
            if missing:
                debugger.warn("%d records of the trace table are missing: the snapshot is a subset" % missing)
            # The engine wrote these bytes: of what the target says there are numbers and strings in them.
            return pickle.loads(b"".join(pieces))

    def get_object_traceback(self, debugger, address):
        """The tracemalloc.Traceback of the block which holds the address, or None if none does. Of blocks in several
        domains it is Python's own, where there is one. Raises CommandError."""
        with self._guard(debugger), self._unfiltered() as session:
            with session.request("tm-traceback", "--json %#x" % (address % (1 << 64))) as request:
                try:
                    blocks = json.loads(self._ask(debugger, request))["blocks"]
                except _engine.EngineError as error:
                    if error.code != _engine.NOT_FOUND:
                        raise
                    return None
            return _traceback_of(min(blocks, key=lambda block: block["domain"]))

    @contextlib.contextmanager
    def _guard(self, debugger):
        """Turns all which can go wrong into a CommandError."""
        outer = self._debugger, self._progress
        self._debugger, self._progress = debugger, Progress(debugger.write_progress)
        try:
            yield
        except (_engine.EngineError, CoreError, OutputError, SnapshotError) as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            raise CommandError(INTERRUPTED) from None
        except CommandError:
            raise
        except Exception as error:
            raise CommandError(_internal_error(error)) from None
        finally:
            self._progress.clear()
            self._debugger, self._progress = outer

    @contextlib.contextmanager
    def _unfiltered(self):
        """A session of its own, with no filters."""
        session = _engine.Session(self.engine, self)
        try:
            yield session
        finally:
            session.close()

    def _ask(self, debugger, request, output=None):
        """What a request on the current target answers; the operand it writes to, if it has one, is `output`."""
        with self._holding() as pieces, debugger.current(self) as memory:
            if output:
                request.set_output(0, output)
            self._run_on(request, memory)
        return "".join(pieces)

    @contextlib.contextmanager
    def _holding(self):
        """Text is not shown meanwhile: it gathers in a list."""
        outer, self._held = self._held, []
        try:
            yield self._held
        finally:
            self._held = outer

    def complete(self, command, line):
        """Full words which could stand for the last word of the line."""
        return self._session.complete(command, line)

    def operand_kind(self, command, line):
        """What the last word of the line would be, as an operand: one of FILES, _engine.EXPRESSION or None."""
        if not line or line[-1].isspace():
            line += "x"
        try:
            with self._session.request(command, line) as request:
                operands = request.operands()
        except _engine.EngineError:
            return None
        return operands[-1][0] if operands else None

    def opened_core(self, opened):
        """The CoreFile of a core which the debugger has open, an `opened.OpenedCore`. Raises CoreError."""
        core = self._opened.get(opened)
        self._warn_of(core)
        return core

    def note_core(self, opened):
        """Find that file already now: later it may be another. What goes wrong is told when a command needs it."""
        with contextlib.suppress(Exception):
            self._opened.get(opened)

    def _warn_of(self, core):
        """Say so, once, if it is cut short."""
        warning = core.warning()
        if warning and warning not in self._warned:
            self._warned.add(warning)
            self._debugger.warn(warning)

    def _run(self, debugger, request):
        with contextlib.ExitStack() as stack:
            memory = stack.enter_context(debugger.current(self)) if request.needs_target() else None
            outputs = []
            for index, (kind, text) in enumerate(request.operands()):
                if kind == _engine.CORE:
                    request.set_target(index, self._open_side(debugger, text, stack))
                elif kind in (_engine.OUTPUT, _engine.REPLACE):
                    output = _NoOutput() if memory is None else self._open_output(text, kind, stack)
                    outputs.append(output)
                    request.set_output(index, output.write)
                elif kind != _engine.EXPRESSION:
                    raise CommandError("this front end is older than the engine: an operand of kind %d" % kind)
                else:
                    request.set_address(index, self._evaluate(debugger, text) if memory else 0)
            # Without a target there is nothing to evaluate on, and nothing to write; the engine tells the user so.
            if not outputs:
                return self._run_on(request, memory)
            with self._holding() as pieces:
                self._run_on(request, memory)
            for output in outputs:
                output.commit()
        debugger.write("".join(pieces))

    def _run_on(self, request, memory):
        if memory is None:
            return request.run(None)
        self._file_root = memory.file_root()
        with _engine.Target(request.session, memory) as target:
            request.run(target)

    def _evaluate(self, debugger, text):
        try:
            refuse_side_effects(text)
            return debugger.evaluate(text) % (1 << 64)
        except ExpressionError as error:
            raise CommandError(
                'cannot evaluate "%s": %s\nGive an address, such as 0x7f0123456780, or an expression, such as %s'
                % (text, error, debugger.example)
            ) from None

    def _open_output(self, text, kind, stack):
        path = os.path.abspath(os.path.expanduser(text))
        return stack.enter_context(OutputFile(path, kind == _engine.REPLACE))

    def _open_side(self, debugger, text, stack):
        """The engine's target for a side of a comparison: a core or a snapshot file."""
        path = os.path.abspath(os.path.expanduser(text))
        if is_snapshot(path):
            return stack.enter_context(_engine.FileTarget(self._session, stack.enter_context(SnapshotFile(path))))
        core = stack.enter_context(CoreFile(path))
        core.require_machine(debugger.current_machine() or host_machine())
        self._warn_of(core)
        return stack.enter_context(_engine.Target(self._session, CoreMemory(core)))

    # -- the engine's host --------------------------------------------------------------------------------------------

    def should_stop(self):
        return self._debugger.should_stop()

    def progress(self, what, done, total):
        self._progress.tell(what, done, total)

    def write(self, text):
        if self._held is None:
            self._progress.clear()
            self._debugger.write(text)
        else:
            self._held.append(text)

    def source_line(self, file_name, line):
        if self._file_root and os.path.isabs(file_name):
            file_name = self._file_root + file_name
        return linecache.getline(file_name, line) if _is_source(file_name) else ""


class _NoOutput:
    """In the place of a file to which nothing will be written."""

    def write(self, data):
        pass

    def commit(self):
        pass


def _traceback_of(block):
    """The tracemalloc.Traceback of a block of tm-traceback's JSON."""
    import tracemalloc

    # tracemalloc's own order of raw frames: the most recent first.
    frames = tuple((frame["filename"], frame["lineno"]) for frame in reversed(block["traceback"]))
    if sys.version_info < (3, 9):
        return tracemalloc.Traceback(frames)
    return tracemalloc.Traceback(frames, block["total_nframe"])


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

"""The shell between a debugger's command line and the engine: what gdb and lldb have in common.

A front end registers the commands, and passes each command line to `Shell.run()` with a `Debugger`. Every failure comes
back as a CommandError. This module knows no debugger and no trace table, and decodes nothing of the target.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shlex
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Set, Tuple, Union

from .core_file import CoreError, CoreFile, host_machine, printable
from .engine import Engine, EngineError, FileTarget, Host, Memory, Request, Screen, Session, SourceLine, Target
from .expression import ExpressionError, refuse_side_effects
from .front_end import INTERRUPTED, CommandError, Debugger
from .header import BackingKind, ErrorCode, Operand
from .memory import CoreMemory
from .opened_core import OpenedCore, OpenedCores
from .output_file import NoOutput, OutputError, OutputFile
from .progress import Progress
from .python_objects import Holders, Object, holders_of, objects_of
from .snapshot_file import SnapshotError, SnapshotFile, is_snapshot
from .source_files import HostFiles
from .source_lines import SourceLines

if TYPE_CHECKING:
    import tracemalloc

OUTPUTS = (Operand.OUTPUT, Operand.REPLACE, Operand.ANSWER)
FILES = (Operand.CORE,) + OUTPUTS  # operands that are names of files
TOPIC = "tracemortem"  # its help shows the commands by task
ALL = (1 << 63) - 1  # rows
_CURSOR = "tm-cursor"  # no operand ends so, unless it is where the cursor is
Output = Union[OutputFile, NoOutput]
TABLE_ALONE = (BackingKind.RECORDER, BackingKind.SAVED)
TRIES = 5  # to read a process that runs in a moment in which it is still
BETWEEN_TRIES = 0.02  # seconds: a program that answers requests is idle between them
NEVER_STILL = (
    "the process changed its table during each of %d tries, so what was read is of no one moment\nHold it still"
    " for a moment: kill -STOP PID, and later kill -CONT PID"
)


class Shell(Host):
    """One engine session for a debugger. Making one can raise EngineMissing."""

    def __init__(self) -> None:
        self.engine = Engine()
        self._session = Session(self.engine, self)
        self._debugger = Debugger()
        self._progress = Progress(self._debugger.write_progress)
        self._warned: Set[str] = set()
        self._opened = OpenedCores()
        self._source_lines = SourceLines(HostFiles())
        self._target: Target | None = None  # of the request that runs
        self._held: List[str] | None = None  # while an answer is held back: its pieces
        self._running: List[Target] = []  # the other targets of the request, whose processes may run
        self._restarts: List[Callable[[], object]] = []  # empties what the request has written

    def commands(self) -> List[str]:
        return self.engine.commands()

    def help(self, command: str) -> str:
        return self.engine.help(command)

    def complete(self, debugger: Debugger, command: str, line: str) -> List[str]:
        """The full words that the last word of the line can become. The debugger's target may not be readable."""
        try:
            with self._guard(debugger), debugger.current(self) as memory:
                if memory is not None:
                    with Target(self._session, memory) as target:
                        return self._session.complete(command, line, target)
        except CommandError:
            pass
        return self._session.complete(command, line, None)

    def operand_kind(self, command: str, line: str) -> int | None:
        """Which Operand the last word of the line would be, or None."""
        try:
            with self._session.request(command, line + _CURSOR) as request:
                operands = request.operands()
        except EngineError:
            return None
        return next((kind for kind, text in operands if text.endswith(_CURSOR)), None)

    # -- what the user and his scripts ask

    def run(self, debugger: Debugger, command: str, line: str) -> None:
        """Run one command line. Raises CommandError and nothing else."""
        with self._guard(debugger):
            with self._session.request(command, line) as request:
                self._run(debugger, request)

    def take_snapshot(self, debugger: Debugger) -> tracemalloc.Snapshot:
        """All traces of the current target as a tracemalloc.Snapshot of this Python; filters have no effect on it.
        Raises CommandError."""
        form = "3.8" if sys.version_info < (3, 9) else "3.9"
        with self._guard(debugger), self._unfiltered() as session:
            pieces: List[bytes] = []
            with session.request("tm-save", "--json --traces %s snapshot" % form) as request:
                answer = json.loads(self._ask(debugger, request, (pieces.append, pieces.clear)))
            missing = sum(answer["missing"][kind + "_records"] for kind in ("unreadable", "corrupt", "torn"))
            if missing:
                debugger.warn("%d records of the trace table are missing: the snapshot is a subset" % missing)
            # Safe to unpickle: the engine wrote these bytes, and only numbers and strings in them are the target's.
            snapshot: tracemalloc.Snapshot = pickle.loads(b"".join(pieces))
            return snapshot

    def get_object_traceback(self, debugger: Debugger, address: int) -> tracemalloc.Traceback | None:
        """The tracemalloc.Traceback of the block that contains the address, or None if no traced block does. If blocks
        of several domains contain it, the lowest domain's, which is Python's own. Raises CommandError."""
        block = self.find_block(debugger, address)
        return _traceback_of(block) if block else None

    def find_block(self, debugger: Debugger, address: int) -> Dict[str, Any] | None:
        """That block as tm-traceback --json has it, or None. Raises CommandError."""
        with self._guard(debugger), self._unfiltered() as session:
            with session.request("tm-traceback", "--json %#x" % (address % (1 << 64))) as request:
                try:
                    blocks = json.loads(self._ask(debugger, request))["blocks"]
                except EngineError as error:
                    if error.code != ErrorCode.NOT_FOUND:
                        raise
                    return None
            found: Dict[str, Any] = min(blocks, key=lambda block: int(block["domain"]))
            return found

    def objects(self, debugger: Debugger, type_: str, attribute: str | None, limit: int | None) -> List[Object]:
        """The objects of types whose name matches the pattern, in the order of their addresses; `attribute` is NAME or
        NAME=VALUE. Raises CommandError."""
        line = "--json --type=%s -n %d" % (shlex.quote(type_), ALL if limit is None else limit)
        if attribute is not None:
            line += " --attr=%s" % shlex.quote(attribute)
        return objects_of(self._json(debugger, "tm-find", line))

    def holders(self, debugger: Debugger, address: int, paths: int) -> Holders:
        """What holds the object at an address. Raises CommandError."""
        return holders_of(self._json(debugger, "tm-holders", "--json --paths %d %#x" % (paths, address % (1 << 64))))

    def _json(self, debugger: Debugger, command: str, line: str) -> Dict[str, Any]:
        """The answer to a command that no filter changes."""
        with self._guard(debugger), self._unfiltered() as session, session.request(command, line) as request:
            answer: Dict[str, Any] = json.loads(self._ask(debugger, request))
            return answer

    @contextlib.contextmanager
    def _guard(self, debugger: Debugger) -> Iterator[None]:
        """Turns every failure into a CommandError."""
        outer = self._debugger, self._progress
        self._debugger, self._progress = debugger, Progress(debugger.write_progress)
        try:
            yield
        except (EngineError, CoreError, OutputError, SnapshotError) as error:
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
    def _unfiltered(self) -> Iterator[Session]:
        """A new session, which has no filters."""
        session = Session(self.engine, self)
        try:
            yield session
        finally:
            session.close()

    def _ask(
        self,
        debugger: Debugger,
        request: Request,
        output: Tuple[Callable[[bytes], object], Callable[[], object]] | None = None,
    ) -> str:
        """The answer to a request on the current target. `output` gets the bytes of the request's output, if any, and
        forgets them."""
        with self._holding() as pieces, debugger.current(self) as memory:
            if output:
                request.set_output(0, output[0])
                self._restarts = [output[1]]
            try:
                self._run_on(request, memory)
            finally:
                self._restarts = []
        return "".join(pieces)

    @contextlib.contextmanager
    def _holding(self) -> Iterator[List[str]]:
        """Within it, text goes into a list instead of to the user."""
        outer, self._held = self._held, []
        try:
            yield self._held
        finally:
            self._held = outer

    # -- cores that the debugger has open

    def opened_core(self, opened: OpenedCore) -> CoreFile:
        """The CoreFile of a core that the debugger has open. Raises CoreError."""
        core = self._opened.get(opened)
        self._warn_of(core)
        return core

    def note_core(self, opened: OpenedCore) -> None:
        """Find the core's file now, before another file can take its name. A failure is reported when a command needs
        the file."""
        with contextlib.suppress(Exception):
            self._opened.get(opened)

    def _warn_of(self, core: CoreFile) -> None:
        """Warn once if the file is truncated."""
        warning = core.warning()
        if warning and warning not in self._warned:
            self._warned.add(warning)
            self._debugger.warn(warning)

    # -- running a request

    def _run(self, debugger: Debugger, request: Request) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(self._running.clear)
            stack.callback(self._restarts.clear)
            memory = stack.enter_context(debugger.current(self)) if request.needs_target() else None
            outputs = self._resolve(debugger, request, memory, stack)
            if not outputs:
                return self._run_on(request, memory)
            bad_news: EngineError | None = None
            with self._holding() as pieces:
                try:
                    self._run_on(request, memory)
                except EngineError as error:
                    bad_news = error
            for kind, output in outputs:
                if bad_news is None or (kind == Operand.ANSWER and output.written):
                    output.commit()
            if bad_news is not None:
                raise bad_news
        debugger.write("".join(pieces))

    def _resolve(
        self, debugger: Debugger, request: Request, memory: Memory | None, stack: contextlib.ExitStack
    ) -> List[Tuple[int, Output]]:
        """Give the request what its operands name, and return what it will write to, each with its Operand.

        Without a target nothing is evaluated or written: the request will fail and say that there is no target.
        """
        outputs: List[Tuple[int, Output]] = []
        for index, (kind, text) in enumerate(request.operands()):
            if kind == Operand.CORE:
                request.set_target(index, self._open_side(debugger, text, stack))
            elif kind in OUTPUTS:
                in_vain = memory is None and request.needs_target()
                output: Output = (
                    NoOutput() if in_vain else self._open_output(text, kind, [out for _, out in outputs], stack)
                )
                outputs.append((kind, output))
                self._restarts.append(output.restart)
                request.set_output(index, output.write)
            elif kind == Operand.EXPRESSION:
                request.set_address(index, self._evaluate(debugger, text, memory) if memory else 0)
            else:
                raise CommandError("this front end is older than the engine: an operand of kind %d" % kind)
        return outputs

    def _run_on(self, request: Request, memory: Memory | None) -> None:
        self._source_lines = SourceLines(memory.source_files() if memory else HostFiles())
        if memory is None:
            return self._run_in_moment(request, None, None)
        with Target(request.session, memory) as target:
            self._target = target
            try:
                self._run_in_moment(request, target, memory)
            finally:
                self._target = None
        for note in self._source_lines.notes():
            self._debugger.warn(note)

    # -- processes that may run while they are read, as src/cli/moment.c has it

    def _run_in_moment(self, request: Request, current: Target | None, memory: Memory | None) -> None:
        """Run the request. If a process may run meanwhile, try again until its table did not change."""
        running = list(self._running)
        if current is not None and memory is not None and memory.may_run():
            current.set_running(True)
            running.append(current)
        if not running:
            return request.run(current)
        before = self._states(running)
        needs_still = request.command == "tm-verify" or (
            request.command == "tm-save" and "--core" in request.line.split()
        )
        for number in range(TRIES):
            if number:
                time.sleep(BETWEEN_TRIES)
            error: EngineError | None = None
            with self._holding() as pieces:
                try:
                    self._run_again(request, current, running)
                except EngineError as failure:
                    error = failure
            after = self._states(running)
            if after == before:
                if error:
                    raise error
                return self.write("".join(pieces))
            before = after
        if needs_still:
            raise CommandError(NEVER_STILL % TRIES)
        for target in running:
            target.set_moving(True)
        self._run_again(request, current, running)

    def _run_again(self, request: Request, current: Target | None, running: List[Target]) -> None:
        for target in running:
            target.changed()
        for restart in self._restarts:
            restart()
        request.run(current)

    def _states(self, targets: List[Target]) -> str:
        """What tm-info says of them."""
        with self._holding() as pieces:
            for target in targets:
                target.changed()
                with self._session.request("tm-info", "--json") as request:
                    request.run(target)
        return "".join(pieces)

    def _evaluate(self, debugger: Debugger, text: str, memory: Memory) -> int:
        try:
            refuse_side_effects(text)
            return debugger.evaluate(text) % (1 << 64)
        except ExpressionError as error:
            if memory.backing().kind in TABLE_ALONE:
                raise CommandError(
                    'cannot evaluate "%s": this file has the trace table alone, no registers, no variables and no'
                    " memory of the program\nGive an address, such as 0x7f0123456780, or open a core of the whole"
                    " process: gcore PID" % text
                ) from None
            raise CommandError(
                'cannot evaluate "%s": %s\nGive an address, such as 0x7f0123456780, or an expression, such as %s'
                % (text, error, debugger.example)
            ) from None

    def _open_output(self, text: str, kind: int, others: List[Output], stack: contextlib.ExitStack) -> OutputFile:
        path = os.path.abspath(os.path.expanduser(text))
        file = OutputFile(path, kind != Operand.OUTPUT)
        if any(isinstance(other, OutputFile) and other.path == file.path for other in others):
            raise OutputError(
                "%s cannot hold both what the command writes and its answer\nGive --output another name" % text
            )
        if kind == Operand.ANSWER and is_snapshot(path):
            raise OutputError("%s is a snapshot, so it is not replaced\nGive another name" % printable(path))
        return stack.enter_context(file)

    def _open_side(self, debugger: Debugger, text: str, stack: contextlib.ExitStack) -> Target:
        """The engine's target for one side of a comparison: a core or a snapshot file."""
        path = os.path.abspath(os.path.expanduser(text))
        _require_file(path)
        if is_snapshot(path):
            return stack.enter_context(FileTarget(self._session, stack.enter_context(SnapshotFile(path))))
        core = stack.enter_context(CoreFile(path))
        core.require_machine(debugger.current_machine() or host_machine())
        self._warn_of(core)
        memory = CoreMemory(core)
        target = stack.enter_context(Target(self._session, memory))
        if memory.may_run():
            target.set_running(True)
            self._running.append(target)
        return target

    # -- the engine's host

    def should_stop(self) -> bool:
        return self._debugger.should_stop()

    def progress(self, what: str, done: int, total: int) -> None:
        self._progress.show(what, done, total)

    def write(self, text: str) -> None:
        if self._held is None:
            self._progress.clear()
            self._debugger.write(text)
        else:
            self._held.append(text)

    def screen(self) -> Screen | None:
        return self._debugger.screen()

    def source_line(self, file_name: str, line: int) -> SourceLine:
        return self._source_lines.line(file_name, line, self._target.started() if self._target else 0)


def _require_file(path: str) -> None:
    """Raise CommandError if there is no such file: nobody knows whether it would have been a core or a snapshot."""
    try:
        os.stat(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CommandError(
            "cannot open %s: %s\nGive a core, or a snapshot file of tm-save or of tracemalloc"
            % (printable(path), reason)
        ) from None


def _traceback_of(block: Dict[str, Any]) -> tracemalloc.Traceback:
    """The tracemalloc.Traceback of a block of tm-traceback's JSON."""
    import tracemalloc

    # tracemalloc has the most recent frame first.
    frames = tuple((frame["filename"], frame["lineno"]) for frame in reversed(block["traceback"]))
    if sys.version_info < (3, 9):
        return tracemalloc.Traceback(frames)
    return tracemalloc.Traceback(frames, block["total_nframe"])


def _internal_error(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = " (%s:%s)" % (os.path.basename(frames[-1].filename), frames[-1].lineno) if frames else ""
    return "tracemortem: internal error: %s: %s%s" % (type(error).__name__, error, where)

"""What the tm- commands need from gdb: memory, symbols, expressions, and which core gdb reads.

This module knows gdb and no trace table. It leaves gdb as it was: it restores the settings that it changes.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import Any, Iterator, List, NamedTuple, Set, Tuple

import gdb
from tracemortem.debugger import switch
from tracemortem.debugger.engine import Bytes, Mapping, Memory, Module, Screen, Thread
from tracemortem.debugger.expression import ExpressionError
from tracemortem.debugger.front_end import ENDED, RUNNING, CommandError, Debugger
from tracemortem.debugger.header import PrivateKind
from tracemortem.debugger.memory import CoreMemory, has_ended, local_process, parse_info_proc_mappings
from tracemortem.debugger.opened_core import OpenedCore
from tracemortem.debugger.shell import Shell
from tracemortem.debugger.source_files import SourceFiles


class Gdb(Debugger):
    """One command's view of gdb."""

    example = "(PyObject *)$rdi, &variable or *(void **)($sp + 8)"

    def __init__(self, typed: bool = False) -> None:
        self._typed = typed  # at gdb's prompt: not by a script, nor by Python that wants the text
        self._machine: int | None = None

    def screen(self) -> Screen | None:
        redirected = _parameter("logging enabled") and _parameter("logging redirect")
        if not self._typed or redirected or not os.isatty(1):
            return None
        return Screen(gdb.parameter("width") or 0, bool(_parameter("style enabled")))

    def write(self, text: str) -> None:
        gdb.write(text)

    def warn(self, text: str) -> None:
        gdb.write("warning: %s\n" % text, gdb.STDERR)

    def write_progress(self, text: str) -> None:
        if os.isatty(1) and os.isatty(2):
            gdb.write(text, gdb.STDERR)
            gdb.flush(gdb.STDERR)

    @contextlib.contextmanager
    def current(self, shell: Shell) -> Iterator[Memory | None]:
        inferior = gdb.selected_inferior()
        if not inferior.pid or not inferior.threads():
            yield None
        elif any(thread.is_running() for thread in inferior.threads()):
            raise CommandError(RUNNING % (inferior.pid, "interrupt"))
        elif _is_core(inferior):
            core = shell.opened_core(_OpenedCore(inferior))
            self._machine = core.machine
            yield CoreMemory(core, _Reader(inferior).symbol)
        elif _is_local(inferior) and has_ended(inferior.pid):
            raise CommandError(ENDED % inferior.pid)
        else:
            yield _Process(inferior)

    def current_machine(self) -> int | None:
        return self._machine

    def evaluate(self, text: str) -> int:
        try:
            with _settings(("may-call-functions", False), ("may-write-memory", False)):
                return address_of(gdb.parse_and_eval(text))
        except (gdb.error, RuntimeError, OverflowError) as error:
            raise ExpressionError(str(error).rstrip(".")) from None


class _Reader:
    """Reads the selected inferior; gdb 13 cannot read any other."""

    def __init__(self, inferior: Any) -> None:
        self._inferior = inferior

    def read(self, address: int, length: int) -> Bytes | None:
        try:
            data: memoryview = self._inferior.read_memory(address, length)
            return data
        except (gdb.error, RuntimeError, OverflowError):
            return None

    def symbol(self, name: str) -> int:
        try:
            with _settings(("may-call-functions", False), ("language", "c")):
                return int(gdb.parse_and_eval("(unsigned long)&'%s'" % name))
        except (gdb.error, RuntimeError, OverflowError):
            return 0


class _Process(_Reader, Memory):
    """A stopped process."""

    def __init__(self, inferior: Any) -> None:
        super().__init__(inferior)
        self._local = local_process(inferior.pid)

    def process(self) -> int:
        return self._local.process() if self._local else int(self._inferior.pid)

    def private_memory(self) -> Tuple[PrivateKind, int]:
        return self._local.private_memory() if self._local else super().private_memory()

    def page_map(self, address: int, count: int) -> bytes:
        return self._local.page_map(address, count) if self._local else b""

    def resident(self) -> int:
        return self._local.resident() if self._local else 0

    def source_files(self) -> SourceFiles:
        return self._local.source_files() if self._local else SourceFiles()

    def modules(self) -> List[Module]:
        return self._local.modules() if self._local else []

    def threads(self) -> List[Thread]:
        return _threads(self._inferior)

    def regions(self) -> List[Mapping]:
        if self._local:
            return self._local.regions()
        try:
            with _settings(("width", None)):
                return parse_info_proc_mappings(_execute("info proc mappings"))
        except gdb.error:
            return []  # this target has no such command


def _threads(inferior: Any) -> List[Thread]:
    """The threads of the selected inferior with their general registers; empty if not all are known. Selects another
    thread meanwhile."""
    selected, frame = gdb.selected_thread(), None
    threads = []
    try:
        frame = gdb.selected_frame()
        for thread in inferior.threads():
            thread.switch()
            newest = gdb.newest_frame()
            registers = [newest.read_register(register) for register in newest.architecture().registers("general")]
            values = [int(value) % (1 << 64) for value in registers if value.type.sizeof == 8 and _is_number(value)]
            number = thread.ptid[1] or thread.ptid[0]
            threads.append(Thread(number, int(newest.read_register("sp")) % (1 << 64), values))
    except (gdb.error, RuntimeError, OverflowError):
        return []
    finally:
        if selected is not None and selected.is_valid():
            selected.switch()
        if frame is not None and frame.is_valid():
            frame.select()
    return threads


# ----------------------------------------------------------------------------------------------------------------------
# Calls in the process, for tm-start and tm-stop


def caller() -> switch.Caller | None:
    """The selected inferior, or None if it is no live process."""
    inferior = gdb.selected_inferior()
    if not inferior.pid or not inferior.threads() or _is_core(inferior):
        return None
    if any(thread.is_running() for thread in inferior.threads()):
        raise CommandError(RUNNING % (inferior.pid, "interrupt"))
    return _Caller(inferior)


@contextlib.contextmanager
def selection_kept() -> Iterator[None]:
    """Afterwards the same thread and frame are selected as before."""
    thread = gdb.selected_thread()
    frame = gdb.selected_frame() if thread else None
    try:
        yield
    finally:
        if thread is not None and thread.is_valid():
            thread.switch()
        if frame is not None and frame.is_valid():
            frame.select()


class _Caller(switch.Caller):
    """A live process. The settings of gdb that a call depends on are as it needs them meanwhile."""

    def __init__(self, inferior: Any) -> None:
        self._process = _Process(inferior)
        self._inferior = inferior
        self.pid = inferior.pid if _is_local(inferior) else 0
        self.symbol = self._process.symbol  # type: ignore  # the same
        self.regions = self._process.regions  # type: ignore
        self.read = self._process.read  # type: ignore

    def write(self, address: int, data: bytes) -> None:
        try:
            self._inferior.write_memory(address, data)
        except (gdb.error, RuntimeError, OverflowError) as error:
            raise CommandError("the process's memory cannot be written: %s" % error) from None

    def threads(self) -> Iterator[Tuple[int, switch.Registers]]:
        for thread in self._inferior.threads():
            thread.switch()
            newest = gdb.newest_frame()
            newest.select()
            yield thread.ptid[1] or thread.ptid[0], _registers(newest)

    def call(self, function: int, *arguments: int) -> int:
        words = ", ".join("%dUL" % argument for argument in arguments)
        kind = "unsigned long (*)(%s)" % ", ".join(["unsigned long"] * len(arguments))
        try:
            with _settings(("may-call-functions", True), ("unwindonsignal", True), ("language", "c")):
                with _settings(("scheduler-locking", "off")):
                    return int(gdb.parse_and_eval("((%s) %dUL)(%s)" % (kind, function, words)))
        except (gdb.error, RuntimeError, OverflowError) as error:
            raise CommandError("a function cannot be called in the process: %s" % str(error).rstrip(".")) from None


def _registers(frame: Any) -> switch.Registers:
    try:
        return switch.Registers(int(frame.pc()), int(frame.read_register("rax")))
    except (gdb.error, ValueError):  # another machine
        return switch.Registers(int(frame.pc()))


def _is_number(value: Any) -> bool:
    return value.type.strip_typedefs().code in (gdb.TYPE_CODE_INT, gdb.TYPE_CODE_PTR)


def _parameter(name: str) -> Any:
    """A setting of gdb; None if this gdb has no such setting."""
    try:
        return gdb.parameter(name)
    except RuntimeError:
        return None


def _execute(command: str) -> str:
    return str(gdb.execute(command, to_string=True))


class _Connection(NamedTuple):
    """What gdb calls so from 11 on: what an inferior gets its memory from."""

    num: int
    type: str


def _connection(inferior: Any) -> Any:
    """The inferior's connection, or None."""
    if hasattr(inferior, "connection"):  # gdb 11
        return inferior.connection
    return next(iter(_listed_connections(str(inferior.num))), None)


def _listed_connections(which: str = "") -> List[_Connection]:
    """The connections in the list that gdb 10 prints of its inferiors."""
    with _settings(("width", None)):
        lines = _execute("info inferiors " + which)
    found = re.findall(r"^[* ] \d+ +(?:process \d+|\S+).*? (\d+) \((\w+)[^)\n]*\)", lines, re.MULTILINE)
    return [_Connection(int(number), kind) for number, kind in found]


def _is_local(inferior: Any) -> bool:
    connection = _connection(inferior)
    return connection is not None and connection.type == "native"


def _is_core(inferior: Any) -> bool:
    connection = _connection(inferior)
    return connection is not None and connection.type == "core"


class _OpenedCore(OpenedCore):
    """The core that is the selected inferior."""

    open_again = "core-file FILE"

    def __init__(self, inferior: Any) -> None:
        self._reader = _Reader(inferior)
        self.key = _connection(inferior).num

    def all_keys(self) -> Set[int]:
        every = gdb.connections() if hasattr(gdb, "connections") else _listed_connections()
        return {connection.num for connection in every}

    def read(self, address: int, length: int) -> Bytes | None:
        return self._reader.read(address, length)

    def path(self) -> str | None:
        core = getattr(gdb.selected_inferior(), "corefile", None)  # gdb 17
        if core is not None:
            return str(core.filename)
        try:
            with _settings(("width", None)):
                # No section matches this filter, so only the headings are printed.
                headings = _execute("maint info sections .tracemortem-none")
        except UnicodeDecodeError:
            return None
        match = re.search(r"^Core file:\s*[`'\"‘]?(.*?)['\"’]?, file type \S+$", headings, re.MULTILINE | re.DOTALL)
        return match.group(1) if match else None


def watch_cores(shell: Shell) -> None:
    """Show the shell each core soon after it is opened: now, or before the next prompt."""
    noted: Set[int] = set()

    def note() -> None:
        inferior = gdb.selected_inferior()
        if _is_core(inferior) and _connection(inferior).num not in noted:
            noted.add(_connection(inferior).num)
            shell.note_core(_OpenedCore(inferior))

    note()
    gdb.events.before_prompt.connect(note)


@contextlib.contextmanager
def _settings(*wanted: Tuple[str, Any]) -> Iterator[None]:
    """Within it, gdb's settings have these values."""
    changed: List[Tuple[str, Any]] = []
    try:
        for name, value in wanted:
            old = gdb.parameter(name)
            if old != value:
                changed.append((name, old))
                _set(name, value)
        yield
    finally:
        for name, old in reversed(changed):
            _set(name, old)


def _set(name: str, value: Any) -> None:
    if isinstance(value, bool):
        value = "on" if value else "off"
    _execute("set %s %s" % (name, "unlimited" if value is None else value))


_REFERENCES = (gdb.TYPE_CODE_REF, getattr(gdb, "TYPE_CODE_RVALUE_REF", gdb.TYPE_CODE_REF))
_PLACES = (gdb.TYPE_CODE_ARRAY, gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION, gdb.TYPE_CODE_FUNC)


def address_of(value: Any) -> int:
    """The address that a gdb.Value means: where an array, a structure or a function is, else the value as a number."""
    code = value.type.strip_typedefs().code
    if code in _REFERENCES:
        value = value.referenced_value()
        code = value.type.strip_typedefs().code
    if code in _PLACES:
        if value.address is None:
            raise ExpressionError('a value of type "%s" that is not in memory has no address' % value.type)
        return int(value.address)
    if code in (gdb.TYPE_CODE_FLT, gdb.TYPE_CODE_VOID):
        raise ExpressionError('a value of type "%s" is not an address' % value.type)
    return int(value)

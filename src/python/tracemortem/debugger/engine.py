"""The engine, libtracemortem.so, as Python objects: the objects of its header, by the same names.

An object here owns what C gave it and frees it. An error of the engine becomes an EngineError. This module knows no
debugger: a front end hands in the user's side as a `Host` and each target as a `Memory`.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from types import TracebackType
from typing import Any, Callable, List, NamedTuple, Tuple, Type, Union

from . import header
from .header import READ_LIMIT
from .source_files import SourceFiles

LIBRARY = "libtracemortem.so"

Bytes = Union[bytes, bytearray, memoryview]
Mapping = Tuple[int, int, int, bytes]  # start, end, header.REGION_* flags, name

Module = Tuple[int, int, int, bytes]  # start, end, offset in the file, the file's name


class Backing(NamedTuple):
    """What is behind a target's memory; header.Backing explains the fields."""

    kind: header.BackingKind
    life: header.Life = header.Life.UNKNOWN
    moment: int = 0
    file_changed: int = 0
    file: bytes = b""
    why: str = ""
    note: bytes = b""
    crashed: bool = False


class Thread(NamedTuple):
    """A thread of a stopped process."""

    id: int
    stack_pointer: int  # 0: not known
    registers: List[int]  # the general ones, in any order


_ADDRESS_SPACE = 1 << 64
_LONGEST_NAME = header.Region.name.size - 1
_LONGEST_PATH = header.Module.path.size - 1


class EngineError(Exception):
    """An error of the engine; str() is its message, `code` a header.ErrorCode."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class EngineMissing(Exception):
    """The engine's library cannot be loaded: str() tells the user why and what to do."""


class Screen(NamedTuple):
    """The terminal that shows the answers."""

    width: int  # columns; 0: lines may have any length
    styled: bool  # with colours


class SourceLine(NamedTuple):
    """A line as linecache.getline() gives it, or ""; and whether the file may have changed since the program read it."""

    text: str
    may_differ: bool = False


class Host:
    """The user's side: what an engine session needs of a front end."""

    def should_stop(self) -> bool:
        """Whether the user asked to stop."""
        return False

    def write(self, text: str) -> None:
        """Show text to the user."""

    def progress(self, what: str, done: int, total: int) -> None:
        """A long piece of work, which `what` names, is at `done` of `total`."""

    def source_line(self, file_name: str, line: int) -> SourceLine:
        """The line of the source file."""
        return SourceLine("")

    def screen(self) -> Screen | None:
        """The terminal that the answer goes to; None if it goes elsewhere."""
        return None


class Memory:
    """A stopped process or a core: what an engine target needs of a front end."""

    def read(self, address: int, length: int) -> Bytes | None:
        """Exactly these bytes, or None if any of them cannot be read. `length` is at most READ_LIMIT."""
        raise NotImplementedError

    def read_into(self, address: int, buffer: memoryview) -> bool:
        """Fill a memoryview of bytes from this address. False: some bytes cannot be read; the buffer is undefined."""
        data = self.read(address, len(buffer))
        if data is None or len(data) != len(buffer):
            return False
        buffer[:] = bytes(data)
        return True

    def symbol(self, name: str) -> int:
        """The address of a global variable, or 0."""
        return 0

    def regions(self) -> List[Mapping]:
        """The mapped regions; empty if they are not known."""
        return []

    def why_missing(self, address: int) -> str:
        """Why this byte cannot be read, in a few words; "" if the reason is not known."""
        return ""

    def process(self) -> int:
        """The process's id as the process sees it, or 0."""
        return 0

    def private_memory(self) -> Tuple[header.PrivateKind, int]:
        """How many bytes of memory that is no part of a file the process has, and what was counted."""
        return header.PrivateKind.UNKNOWN, 0

    def threads(self) -> List[Thread]:
        """The threads; empty if they are not known."""
        return []

    def modules(self) -> List[Module]:
        """What is mapped from files; empty if it is not known."""
        return []

    def backing(self) -> Backing:
        """What is behind this memory."""
        return Backing(header.BackingKind.UNKNOWN)

    def may_run(self) -> bool:
        """Whether the process may run while its memory is read, which only the recorder's file of one that lives allows."""
        return False

    def page_map(self, address: int, count: int) -> bytes:
        """What the system says of these pages of 4096 bytes: the words of /proc/PID/pagemap; b"" if it is not known."""
        return b""

    def resident(self) -> int:
        """How much memory the process has, as the system counts it (Rss), or 0."""
        return 0

    def source_files(self) -> SourceFiles:
        """Where the program's source files are."""
        return SourceFiles()


def library_path() -> str:
    """Where the engine is: $TRACEMORTEM_ENGINE; else the path that the installer wrote to engine_path.txt in the
    package tracemortem, from there if it is relative; else ../../lib from that package, as in a build."""
    chosen = os.environ.get("TRACEMORTEM_ENGINE")
    if chosen:
        return chosen
    package = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    try:
        with open(os.path.join(package, "engine_path.txt"), encoding="utf-8", errors="surrogateescape") as file:
            return os.path.join(package, file.read().strip())
    except OSError:
        return os.path.normpath(os.path.join(package, "..", "..", "lib", LIBRARY))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass").replace(b"\0", b" ")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


class Engine:
    """The loaded library. Raises EngineMissing."""

    def __init__(self, path: str | None = None) -> None:
        self.path = path or library_path()
        try:
            self.library = ctypes.CDLL(self.path)
            for name, (result, *parameters) in header.FUNCTIONS.items():
                function = getattr(self.library, name)
                function.restype, function.argtypes = result, parameters
        except (OSError, AttributeError) as error:
            raise EngineMissing(
                "cannot load the engine: %s\nRun `make` in tracemortem's source tree, or set TRACEMORTEM_ENGINE to the"
                " path of %s" % (error, LIBRARY)
            ) from None

    def check(self, error: int | None) -> None:
        """Raise the error that a function of the library returned, unless it is NULL."""
        if error:
            try:
                code, message = self.library.tm_error_code(error), self.library.tm_error_message(error)
                raise EngineError(code, _text(message))
            finally:
                self.library.tm_error_destroy(error)

    def create(self, function: Callable[..., int | None], *arguments: Any) -> ctypes.c_void_p:
        """Call a function whose last parameter is its result."""
        result = ctypes.c_void_p()
        self.check(function(*arguments, ctypes.byref(result)))
        return result

    def commands(self) -> List[str]:
        """The names of the commands, in the manual's order."""
        names: List[str] = []
        name = self.library.tm_command_name(0)
        while name:
            names.append(_text(name))
            name = self.library.tm_command_name(len(names))
        return names

    def help(self, command: str) -> str:
        return _text(self.library.tm_command_help(_bytes(command)) or b"")


class Callbacks:
    """Makes C callbacks of Python methods, and keeps what they raise until C has returned.

    An exception in a callback, Ctrl-C above all, must neither get lost nor pass through C. So it makes `stopped` true,
    which makes the engine give up, and `raise_again()` raises it. A session and its targets share one object.
    """

    def __init__(self) -> None:
        self._exception: BaseException | None = None

    @property
    def stopped(self) -> bool:
        return self._exception is not None

    def stash(self, exception: BaseException) -> None:
        if self._exception is None or isinstance(exception, KeyboardInterrupt):
            self._exception = exception

    def raise_again(self) -> None:
        exception, self._exception = self._exception, None
        if exception is not None:
            raise exception

    def wrap(self, kind: Callable[[Callable[..., Any]], Any], method: Callable[..., Any], failure: Any) -> Any:
        """A C function of this kind; it returns `failure` where the method raises."""

        def callback(_: Any, *arguments: Any) -> Any:
            try:
                return method(*arguments)
            except BaseException as exception:
                self.stash(exception)
                return failure

        return kind(callback)

    def __enter__(self) -> Callbacks:
        """Watch the callbacks while C runs: an interrupt can arrive before a callback's first line."""
        self._exception = None
        self._hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        return self

    def __exit__(
        self, kind: Type[BaseException] | None, exception: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.unraisablehook = self._hook
        if not isinstance(exception, KeyboardInterrupt):
            self.raise_again()

    def _unraisable(self, unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            self.stash(unraisable.exc_value)
        elif unraisable.exc_type is not None and issubclass(unraisable.exc_type, KeyboardInterrupt):
            self.stash(KeyboardInterrupt())
        else:
            self._hook(unraisable)


class Session:
    """The engine's session with one user."""

    def __init__(self, engine: Engine, host: Host) -> None:
        self.engine = engine
        self.callbacks = Callbacks()
        self._host = host
        self._line: Any = None
        wrap = self.callbacks.wrap
        self._struct = header.HostCallbacks(
            should_stop=wrap(header.SHOULD_STOP, self._should_stop, 1),
            write=wrap(header.WRITE, self._write, None),
            progress=wrap(header.PROGRESS, self._progress, None),
            source_line=wrap(header.SOURCE_LINE, self._source_line, None),
            screen=wrap(header.SCREEN, self._screen, 0),
        )
        create = engine.library.tm_session_create
        self.pointer: ctypes.c_void_p | None = engine.create(create, ctypes.byref(self._struct), None)

    def close(self) -> None:
        self.engine.library.tm_session_destroy(self.pointer)
        self.pointer = None

    def request(self, command: str, line: str) -> Request:
        return Request(self, command, line)

    def complete(self, command: str, line: str, current: Target | None) -> List[str]:
        """The full words that the last word of the line can become."""
        pointer = current.pointer if current else None
        with self.callbacks:
            words = self.engine.library.tm_complete(self.pointer, _bytes(command), _bytes(line), pointer)
        return _text(words or b"").splitlines()

    def _should_stop(self) -> int:
        return int(self.callbacks.stopped or self._host.should_stop())

    def _write(self, text: int, length: int) -> None:
        if not self.callbacks.stopped:
            self._host.write(_text(ctypes.string_at(text, length)))

    def _progress(self, what: bytes, done: int, total: int) -> None:
        if not self.callbacks.stopped:
            self._host.progress(_text(what), done, total)

    def _source_line(self, file_name: bytes, line: int, may_differ: Any) -> int | None:
        text, may_differ[0] = self._host.source_line(file_name.decode("utf-8", "surrogatepass"), line)
        if not text:
            return None
        self._line = ctypes.create_string_buffer(text.encode("utf-8", "surrogatepass"))  # valid until the next call
        return ctypes.addressof(self._line)

    def _screen(self, address: int) -> int:
        screen = self._host.screen()
        if screen is None:
            return 0
        result = header.Screen.from_address(address)
        result.width, result.styled = screen.width, int(screen.styled)
        return 1


class Target:
    """An engine target that reads a Memory. Make one for each command: it does not read the same memory twice."""

    def __init__(self, session: Session, memory: Memory) -> None:
        self.engine = session.engine
        self._memory = memory
        self._callbacks = session.callbacks
        self._regions: List[Mapping] | None = None
        self._threads: List[Thread] | None = None
        self._modules: List[Module] | None = None
        self._reasons: List[Any] = []  # the engine keeps their addresses
        wrap = self._callbacks.wrap
        self._struct = header.TargetCallbacks(
            read=wrap(header.READ, self._read, 1),
            symbol=wrap(header.SYMBOL, self._symbol, 0),
            regions=wrap(header.REGIONS, self._list, 0),
            why_missing=wrap(header.WHY_MISSING, self._why_missing, None),
            process=wrap(header.PROCESS, self._memory.process, 0),
            private_memory=wrap(header.PRIVATE_MEMORY, self._private_memory, 0),
            threads=wrap(header.THREADS, self._list_threads, 0),
            modules=wrap(header.MODULES, self._list_modules, 0),
            backing=wrap(header.BACKING, self._backing, None),
            page_map=wrap(header.PAGE_MAP, self._page_map, 1),
            resident=wrap(header.RESIDENT, self._memory.resident, 0),
        )
        self.pointer: ctypes.c_void_p | None = self._create(ctypes.byref(self._struct))

    def _create(self, callbacks: Any) -> ctypes.c_void_p:
        return self.engine.create(self.engine.library.tm_target_create, callbacks, None)

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *_: Any) -> None:
        self.engine.library.tm_target_destroy(self.pointer)
        self.pointer = None

    def started(self) -> int:
        """When tracing began, in nanoseconds since 1970; 0 if no request has found it out."""
        time: int = self.engine.library.tm_target_started(self.pointer)
        return time

    def bytes_read(self) -> int:
        count: int = self.engine.library.tm_target_bytes_read(self.pointer)
        return count

    def _read(self, address: int, buffer: int, length: int) -> int:
        if self._callbacks.stopped or not 0 < length <= READ_LIMIT or address + length > _ADDRESS_SPACE:
            return 1
        view = memoryview((ctypes.c_char * length).from_address(buffer)).cast("B")
        return 0 if self._memory.read_into(address, view) else 1

    def _symbol(self, name: bytes) -> int:
        return self._memory.symbol(_text(name)) % _ADDRESS_SPACE

    def _list(self, array: int, capacity: int) -> int:
        if self._regions is None:
            self._regions = sorted(self._memory.regions())
        rows = self._regions[:capacity]
        if rows:
            places = (header.Region * len(rows)).from_address(array)
            for place, (start, end, flags, name) in enumerate(rows):
                end = min(end, _ADDRESS_SPACE - 1)
                places[place] = header.Region(start, end, flags, 0, name[:_LONGEST_NAME])
        return len(self._regions)

    def _list_threads(self, array: int, capacity: int) -> int:
        if self._threads is None:
            self._threads = self._memory.threads()
        rows = self._threads[:capacity]
        places = (header.Thread * len(rows)).from_address(array)
        for place, thread in zip(places, rows):
            registers = [value % _ADDRESS_SPACE for value in thread.registers[: header.THREAD_REGISTERS]]
            place.id, place.stack_pointer = thread.id % _ADDRESS_SPACE, thread.stack_pointer % _ADDRESS_SPACE
            place.register_count = len(registers)
            place.registers[: len(registers)] = registers
        return len(self._threads)

    def _list_modules(self, array: int, capacity: int) -> int:
        if self._modules is None:
            self._modules = sorted(self._memory.modules())
        rows = self._modules[:capacity]
        places = (header.Module * len(rows)).from_address(array)
        for index, (start, end, offset, path) in enumerate(rows):
            end, offset = min(end, _ADDRESS_SPACE - 1), min(offset, _ADDRESS_SPACE - 1)
            places[index] = header.Module(start, end, offset, path[-_LONGEST_PATH:])
        return len(self._modules)

    def changed(self) -> None:
        """What was read of it counts no more."""
        self._regions = self._threads = self._modules = None
        self.engine.library.tm_target_changed(self.pointer)

    def set_running(self, running: bool) -> None:
        self.engine.library.tm_target_set_running(self.pointer, running)

    def set_moving(self, moving: bool) -> None:
        self.engine.library.tm_target_set_moving(self.pointer, moving)

    def _backing(self, address: int) -> None:
        backing = self._memory.backing()
        place = header.Backing.from_address(address)
        place.kind, place.life, place.now = backing.kind, backing.life, time.time_ns()
        place.moment, place.file_changed = backing.moment, backing.file_changed
        place.file, place.why = backing.file[:255], _bytes(backing.why)[:255]
        place.crashed = int(backing.crashed)
        note = backing.note[: header.BACKING_NOTE]
        place.note_length = len(note)
        ctypes.memmove(address + header.Backing.note.offset, note, len(note))

    def _private_memory(self, kind: Any) -> int:
        found, size = self._memory.private_memory()
        kind[0] = found
        return min(size, _ADDRESS_SPACE - 1)

    def _page_map(self, address: int, entries: int, count: int) -> int:
        data = self._memory.page_map(address, count)
        if len(data) != 8 * count:
            return 1
        ctypes.memmove(entries, data, len(data))
        return 0

    def _why_missing(self, address: int) -> int | None:
        reason = self._memory.why_missing(address)
        if not reason:
            return None
        self._reasons.append(ctypes.create_string_buffer(_bytes(reason)))
        return ctypes.addressof(self._reasons[-1])


class File(Memory):
    """The bytes of a file that is no memory: addresses are offsets below `size`."""

    size = 0


class FileTarget(Target):
    """An engine target that is a snapshot file."""

    def __init__(self, session: Session, file: File) -> None:
        self._size = file.size
        super().__init__(session, file)

    def _create(self, callbacks: Any) -> ctypes.c_void_p:
        return self.engine.create(self.engine.library.tm_target_create_file, callbacks, None, self._size)


class Request:
    """One command line. Its targets must be of the same session and live longer than the request."""

    def __init__(self, session: Session, command: str, line: str) -> None:
        self.engine = session.engine
        self.session = session
        self.command = command
        self.line = line
        self._callbacks = session.callbacks
        self._outputs: List[Any] = []
        create = self.engine.library.tm_request_create
        arguments = (session.pointer, _bytes(command), _bytes(line))
        self.pointer: ctypes.c_void_p | None = self.engine.create(create, *arguments)

    def __enter__(self) -> Request:
        return self

    def __exit__(self, *_: Any) -> None:
        self.engine.library.tm_request_destroy(self.pointer)
        self.pointer = None

    def operands(self) -> List[Tuple[int, str]]:
        """What the front end must resolve: pairs of (header.Operand, text)."""
        library, found = self.engine.library, []
        for index in range(library.tm_request_operands(self.pointer)):
            text = library.tm_request_operand_text(self.pointer, index)
            kind = library.tm_request_operand_kind(self.pointer, index)
            found.append((kind, text.decode("utf-8", "surrogatepass")))
        return found

    def set_address(self, index: int, address: int) -> None:
        self.engine.library.tm_request_set_address(self.pointer, index, address)

    def set_target(self, index: int, target: Target) -> None:
        self.engine.library.tm_request_set_target(self.pointer, index, target.pointer)

    def set_output(self, index: int, write: Callable[[bytes], object]) -> None:
        """While the request runs, the engine calls `write` with bytes. If `write` raises, the request fails."""

        def take(data: int, length: int) -> int:
            write(ctypes.string_at(data, length))
            return 0

        self._outputs.append(self._callbacks.wrap(header.OUTPUT_CALLBACK, take, 1))
        self.engine.library.tm_request_set_output(self.pointer, index, self._outputs[-1], None)

    def needs_target(self) -> bool:
        return bool(self.engine.library.tm_request_needs_target(self.pointer))

    def run(self, target: Target | None) -> None:
        """Run on a Target or None. Raises what a callback raised, else the engine's error."""
        with self._callbacks:
            error = self.engine.library.tm_request_run(self.pointer, target.pointer if target else None)
            if self._callbacks.stopped and error:
                self.engine.library.tm_error_destroy(error)
                error = None
        self.engine.check(error)

"""Binds the engine, libtracemortem.so, by its public header src/engine/tracemortem.h: the same objects, the same names.

Python objects here own what C gave them and free it; an error of the engine becomes an EngineError. Knows no debugger:
the user's side and the target are handed in as objects with the methods of `Host` and `Memory`.
"""

import ctypes
import os
import struct
import sys
from ctypes import CFUNCTYPE, POINTER, c_bool, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p

LIBRARY = "libtracemortem.so"

EXPRESSION, CORE, OUTPUT, REPLACE = 1, 2, 3, 4  # enum tm_operand
NOT_FOUND = 9  # of enum tm_error_code
READABLE, WRITABLE, FILE, ABSENT = 1, 2, 4, 8  # TM_REGION_*
READ_LIMIT = 1 << 20

_REGION = struct.Struct("<QQII48s")
_ADDRESS_SPACE = 1 << 64


class EngineError(Exception):
    """An error of the engine; str() is its message, `code` an enum tm_error_code."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class EngineMissing(Exception):
    """The engine's library cannot be loaded: str() tells the user why and what to do."""


class Host:
    """The user's side: what an engine session asks of a front end."""

    def should_stop(self):
        """Whether the user asked to stop."""
        return False

    def write(self, text):
        """Show text to the user."""

    def progress(self, what, done, total):
        """A long piece of work, named by `what`, has come so far."""

    def source_line(self, file_name, line):
        """The line of the source file as linecache.getline() gives it, or ""."""
        return ""


class Memory:
    """A stopped process or a core: what an engine target asks of a front end."""

    def read(self, address, length):
        """Exactly these bytes, or None if not all of them can be read. Never more than READ_LIMIT."""
        raise NotImplementedError

    def read_into(self, address, buffer):
        """Fill a memoryview of bytes from this address. False: it cannot be filled, and may hold anything."""
        data = self.read(address, len(buffer))
        if data is None or len(data) != len(buffer):
            return False
        buffer[:] = bytes(data)
        return True

    def symbol(self, name):
        """The address of a global variable, or 0."""
        return 0

    def regions(self):
        """A list of (start, end, flags, name as bytes); empty if not known."""
        return []

    def why_missing(self, address):
        """Why this byte cannot be read, in a few words; "" if that is not known."""
        return ""

    def process(self):
        """The process's id as it sees itself, or 0."""
        return 0

    def file_root(self):
        """What stands before the names of the process's files here; "" nothing."""
        return ""


def library_path():
    """Where the engine is: $TRACEMORTEM_ENGINE; where the installer noted it, in `engine_path.txt` beside this file; or
    ../../lib from this package, as in a build."""
    chosen = os.environ.get("TRACEMORTEM_ENGINE")
    if chosen:
        return chosen
    here = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    try:
        with open(os.path.join(here, "engine_path.txt"), encoding="utf-8", errors="surrogateescape") as file:
            return file.read().strip()
    except OSError:
        return os.path.normpath(os.path.join(here, "..", "..", "lib", LIBRARY))


# -- the header, in C's own types

_SHOULD_STOP = CFUNCTYPE(c_int, c_void_p)
_WRITE = CFUNCTYPE(None, c_void_p, c_void_p, c_size_t)
_PROGRESS = CFUNCTYPE(None, c_void_p, c_char_p, c_uint64, c_uint64)
_SOURCE_LINE = CFUNCTYPE(c_void_p, c_void_p, c_char_p, c_uint32)
_READ = CFUNCTYPE(c_int, c_void_p, c_uint64, c_void_p, c_uint64)
_SYMBOL = CFUNCTYPE(c_uint64, c_void_p, c_char_p)
_REGIONS = CFUNCTYPE(c_size_t, c_void_p, c_void_p, c_size_t)
_WHY_MISSING = CFUNCTYPE(c_void_p, c_void_p, c_uint64)
_PROCESS = CFUNCTYPE(c_uint32, c_void_p)
_OUTPUT = CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t)


class _HostCallbacks(ctypes.Structure):
    _fields_ = [
        ("should_stop", _SHOULD_STOP),
        ("write", _WRITE),
        ("progress", _PROGRESS),
        ("source_line", _SOURCE_LINE),
    ]


class _TargetCallbacks(ctypes.Structure):
    _fields_ = [
        ("read", _READ),
        ("symbol", _SYMBOL),
        ("regions", _REGIONS),
        ("why_missing", _WHY_MISSING),
        ("process", _PROCESS),
    ]


_FUNCTIONS = {
    "tm_error_message": (c_char_p, c_void_p),
    "tm_error_code": (c_int, c_void_p),
    "tm_error_destroy": (None, c_void_p),
    "tm_session_create": (c_void_p, POINTER(_HostCallbacks), c_void_p, POINTER(c_void_p)),
    "tm_session_destroy": (None, c_void_p),
    "tm_target_create": (c_void_p, POINTER(_TargetCallbacks), c_void_p, POINTER(c_void_p)),
    "tm_target_create_file": (c_void_p, POINTER(_TargetCallbacks), c_void_p, c_uint64, POINTER(c_void_p)),
    "tm_target_changed": (None, c_void_p),
    "tm_target_destroy": (None, c_void_p),
    "tm_target_bytes_read": (c_uint64, c_void_p),
    "tm_command_name": (c_char_p, c_size_t),
    "tm_command_help": (c_char_p, c_char_p),
    "tm_complete": (c_char_p, c_void_p, c_char_p, c_char_p),
    "tm_request_create": (c_void_p, c_void_p, c_char_p, c_char_p, POINTER(c_void_p)),
    "tm_request_operands": (c_size_t, c_void_p),
    "tm_request_operand_kind": (c_int, c_void_p, c_size_t),
    "tm_request_operand_text": (c_char_p, c_void_p, c_size_t),
    "tm_request_set_address": (None, c_void_p, c_size_t, c_uint64),
    "tm_request_set_target": (None, c_void_p, c_size_t, c_void_p),
    "tm_request_set_output": (None, c_void_p, c_size_t, _OUTPUT, c_void_p),
    "tm_request_needs_target": (c_bool, c_void_p),
    "tm_request_run": (c_void_p, c_void_p, c_void_p),
    "tm_request_destroy": (None, c_void_p),
}


def _bytes(text):
    return text.encode("utf-8", "surrogatepass").replace(b"\0", b" ")


def _text(data):
    return data.decode("utf-8", "replace")


class Engine:
    """The loaded library. Raises EngineMissing."""

    def __init__(self, path=None):
        self.path = path or library_path()
        try:
            library = ctypes.CDLL(self.path)
            for name, (result, *arguments) in _FUNCTIONS.items():
                function = getattr(library, name)
                function.restype, function.argtypes = result, arguments
                setattr(self, name, function)
        except (OSError, AttributeError) as error:
            raise EngineMissing(
                "cannot load the engine: %s\nRun `make` in tracemortem's source tree, or set TRACEMORTEM_ENGINE to the"
                " path of %s" % (error, LIBRARY)
            ) from None

    def check(self, error):
        """Raise what a function of the library returned, unless that is NULL."""
        if error:
            try:
                raise EngineError(self.tm_error_code(error), _text(self.tm_error_message(error)))
            finally:
                self.tm_error_destroy(error)

    def create(self, function, *arguments):
        """Call a function whose last parameter is its result."""
        result = c_void_p()
        self.check(function(*arguments, ctypes.byref(result)))
        return result

    def commands(self):
        """The names of the commands, in the manual's order."""
        names = []
        name = self.tm_command_name(0)
        while name:
            names.append(_text(name))
            name = self.tm_command_name(len(names))
        return names

    def help(self, command):
        return _text(self.tm_command_help(_bytes(command)) or b"")


class Callbacks:
    """Makes C callbacks of Python methods, and keeps what they raise until C has returned.

    Whatever goes wrong in a callback, Ctrl-C above all, must neither be lost nor pass through C: `stopped` turns true,
    so that the engine gives up, and `raise_again()` has the exception. One of these serves a session and its targets.
    """

    def __init__(self):
        self._exception = None
        self._functions = set()

    @property
    def stopped(self):
        return self._exception is not None

    def stash(self, exception):
        if self._exception is None or isinstance(exception, KeyboardInterrupt):
            self._exception = exception

    def raise_again(self):
        exception, self._exception = self._exception, None
        if exception is not None:
            raise exception

    def wrap(self, kind, method, failure):
        """A C function of this kind; it returns `failure` where the method raises."""

        def callback(_, *arguments):
            try:
                return method(*arguments)
            except BaseException as exception:
                self.stash(exception)
                return failure

        return kind(callback)

    def __enter__(self):
        """Watch the callbacks while C runs: an interrupt can strike one before its first line."""
        self._exception = None
        self._hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        return self

    def __exit__(self, kind, exception, trace):
        sys.unraisablehook = self._hook
        if not isinstance(exception, KeyboardInterrupt):
            self.raise_again()
        return False

    def _unraisable(self, unraisable):
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            self.stash(unraisable.exc_value)
        elif unraisable.exc_type is not None and issubclass(unraisable.exc_type, KeyboardInterrupt):
            self.stash(KeyboardInterrupt())
        else:
            self._hook(unraisable)


class Session:
    """The engine's session with one user."""

    def __init__(self, engine, host):
        self.engine = engine
        self.callbacks = Callbacks()
        self._host = host
        self._line = None
        wrap = self.callbacks.wrap
        self._struct = _HostCallbacks(
            should_stop=wrap(_SHOULD_STOP, self._should_stop, 1),
            write=wrap(_WRITE, self._write, None),
            progress=wrap(_PROGRESS, self._progress, None),
            source_line=wrap(_SOURCE_LINE, self._source_line, None),
        )
        self._session = engine.create(engine.tm_session_create, ctypes.byref(self._struct), None)

    def close(self):
        self.engine.tm_session_destroy(self._session)
        self._session = None

    def request(self, command, line):
        return Request(self, command, line)

    def complete(self, command, line):
        """Full words which could stand for the last one."""
        return _text(self.engine.tm_complete(self._session, _bytes(command), _bytes(line)) or b"").splitlines()

    def _should_stop(self):
        return int(self.callbacks.stopped or self._host.should_stop())

    def _write(self, text, length):
        if not self.callbacks.stopped:
            self._host.write(_text(ctypes.string_at(text, length)))

    def _progress(self, what, done, total):
        if not self.callbacks.stopped:
            self._host.progress(_text(what), done, total)

    def _source_line(self, file_name, line):
        text = self._host.source_line(file_name.decode("utf-8", "surrogatepass"), line)
        if not text:
            return None
        self._line = ctypes.create_string_buffer(text.encode("utf-8", "surrogatepass"))  # valid until the next call
        return ctypes.addressof(self._line)


class Target:
    """An engine target which reads a Memory. Holds for one command: what was read is not read again."""

    def __init__(self, session, memory):
        self.engine = session.engine
        self._memory = memory
        self._callbacks = session.callbacks
        self._regions = None
        self._words = []  # the engine refers to them
        wrap = self._callbacks.wrap
        self._struct = _TargetCallbacks(
            read=wrap(_READ, self._read, 1),
            symbol=wrap(_SYMBOL, self._symbol, 0),
            regions=wrap(_REGIONS, self._list, 0),
            why_missing=wrap(_WHY_MISSING, self._why_missing, None),
            process=wrap(_PROCESS, self._memory.process, 0),
        )
        self.pointer = self._create(ctypes.byref(self._struct))

    def _create(self, callbacks):
        return self.engine.create(self.engine.tm_target_create, callbacks, None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.engine.tm_target_destroy(self.pointer)
        self.pointer = None

    def bytes_read(self):
        return self.engine.tm_target_bytes_read(self.pointer)

    def _read(self, address, buffer, length):
        if self._callbacks.stopped or not 0 < length <= READ_LIMIT or address + length > _ADDRESS_SPACE:
            return 1
        view = memoryview((ctypes.c_char * length).from_address(buffer)).cast("B")
        return 0 if self._memory.read_into(address, view) else 1

    def _symbol(self, name):
        return self._memory.symbol(_text(name)) % _ADDRESS_SPACE

    def _list(self, array, capacity):
        if self._regions is None:
            self._regions = sorted(self._memory.regions())
        last = _ADDRESS_SPACE - 1
        rows = [
            _REGION.pack(start, min(end, last), flags, 0, name[:47])
            for start, end, flags, name in self._regions[:capacity]
        ]
        if rows:
            ctypes.memmove(array, b"".join(rows), len(rows) * _REGION.size)
        return len(self._regions)

    def _why_missing(self, address):
        words = self._memory.why_missing(address)
        if not words:
            return None
        self._words.append(ctypes.create_string_buffer(_bytes(words)))
        return ctypes.addressof(self._words[-1])


class FileTarget(Target):
    """An engine target which is a snapshot file: a Memory whose addresses are offsets below its `size`."""

    def _create(self, callbacks):
        return self.engine.create(self.engine.tm_target_create_file, callbacks, None, self._memory.size)


class Request:
    """One command line. Its targets must live longer than it, and be of the same session."""

    def __init__(self, session, command, line):
        self.engine = session.engine
        self.session = session
        self._callbacks = session.callbacks
        create = self.engine.tm_request_create
        self._outputs = []
        self._request = self.engine.create(create, session._session, _bytes(command), _bytes(line))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.engine.tm_request_destroy(self._request)
        self._request = None

    def operands(self):
        """What the front end must resolve: pairs of (EXPRESSION, CORE, OUTPUT or REPLACE, text)."""
        kind, text = self.engine.tm_request_operand_kind, self.engine.tm_request_operand_text
        count = self.engine.tm_request_operands(self._request)
        return [(kind(self._request, i), text(self._request, i).decode("utf-8", "surrogatepass")) for i in range(count)]

    def set_address(self, index, address):
        self.engine.tm_request_set_address(self._request, index, address)

    def set_target(self, index, target):
        self.engine.tm_request_set_target(self._request, index, target.pointer)

    def set_output(self, index, write):
        """`write` is called with bytes while the request runs; what it raises makes the request fail."""

        def take(data, length):
            write(ctypes.string_at(data, length))
            return 0

        self._outputs.append(self._callbacks.wrap(_OUTPUT, take, 1))
        self.engine.tm_request_set_output(self._request, index, self._outputs[-1], None)

    def needs_target(self):
        return self.engine.tm_request_needs_target(self._request)

    def run(self, target):
        """Run on a Target or None. What a callback raised is raised again, before an error of the engine."""
        with self._callbacks:
            error = self.engine.tm_request_run(self._request, target.pointer if target else None)
            if self._callbacks.stopped and error:
                self.engine.tm_error_destroy(error)
                error = None
        self.engine.check(error)

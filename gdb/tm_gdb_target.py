"""What the tm- commands ask of gdb: memory, symbols, expressions, and which core gdb reads.

Knows gdb and no trace table. Leaves gdb as it was: what is set for a while is set back.
"""

import contextlib
import os
import re

import gdb
from tracemortem.debugger.expression import ExpressionError
from tracemortem.debugger.memory import CoreMemory, Memory, has_ended, local_process, parse_info_proc_mappings
from tracemortem.debugger.opened_core import OpenedCore
from tracemortem.debugger.shell import ENDED, RUNNING, CommandError, Debugger


class Gdb(Debugger):
    """gdb, for one command."""

    example = "(PyObject *)$rdi, &variable or *(void **)($sp + 8)"

    def __init__(self):
        self._machine = None

    def write(self, text):
        gdb.write(text)

    def warn(self, text):
        gdb.write("warning: %s\n" % text, gdb.STDERR)

    def write_progress(self, text):
        if os.isatty(1) and os.isatty(2):
            gdb.write(text, gdb.STDERR)
            gdb.flush(gdb.STDERR)

    @contextlib.contextmanager
    def current(self, shell):
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

    def current_machine(self):
        return self._machine

    def evaluate(self, text):
        try:
            with _settings(("may-call-functions", False), ("may-write-memory", False)):
                return address_of(gdb.parse_and_eval(text))
        except (gdb.error, RuntimeError, OverflowError) as error:
            raise ExpressionError(str(error).rstrip(".")) from None


class _Reader:
    """Reads the selected inferior: gdb 13 could read no other, whatever it is asked."""

    def __init__(self, inferior):
        self._inferior = inferior

    def read(self, address, length):
        try:
            return self._inferior.read_memory(address, length)
        except (gdb.error, RuntimeError, OverflowError):
            return None

    def symbol(self, name):
        try:
            with _settings(("may-call-functions", False), ("language", "c")):
                return int(gdb.parse_and_eval("(unsigned long)&'%s'" % name))
        except (gdb.error, RuntimeError, OverflowError):
            return 0


class _Process(_Reader, Memory):
    """A stopped process."""

    def __init__(self, inferior):
        super().__init__(inferior)
        self._local = local_process(inferior.pid)

    def process(self):
        return self._local.process() if self._local else self._inferior.pid

    def file_root(self):
        return self._local.file_root() if self._local else ""

    def regions(self):
        if self._local:
            return self._local.regions()
        try:
            with _settings(("width", None)):
                return parse_info_proc_mappings(_execute("info proc mappings"))
        except gdb.error:
            return []  # no such thing there


def _execute(command):
    return gdb.execute(command, to_string=True)


def _is_local(inferior):
    return inferior.connection is not None and inferior.connection.type == "native"


def _is_core(inferior):
    return inferior.connection is not None and inferior.connection.type == "core"


class _OpenedCore(OpenedCore):
    """The core which the selected inferior is."""

    open_again = "core-file FILE"

    def __init__(self, inferior):
        self._reader = _Reader(inferior)
        self.key = inferior.connection.num

    def all_keys(self):
        return {connection.num for connection in gdb.connections()}

    def read(self, address, length):
        return self._reader.read(address, length)

    def path(self):
        core = getattr(gdb.selected_inferior(), "corefile", None)  # gdb 17
        if core is not None:
            return core.filename
        try:
            with _settings(("width", None)):
                # A filter which no section passes leaves the headings.
                headings = _execute("maint info sections .tracemortem-none")
        except UnicodeDecodeError:
            return None
        match = re.search(r"^Core file:\s*[`'\"‘]?(.*?)['\"’]?, file type \S+$", headings, re.MULTILINE | re.DOTALL)
        return match.group(1) if match else None


def watch_cores(shell):
    """Let the shell know of each core soon after it is opened: now, or before the next prompt."""
    noted = set()

    def note():
        inferior = gdb.selected_inferior()
        if _is_core(inferior) and inferior.connection.num not in noted:
            noted.add(inferior.connection.num)
            shell.note_core(_OpenedCore(inferior))

    note()
    gdb.events.before_prompt.connect(note)


@contextlib.contextmanager
def _settings(*wanted):
    """gdb's settings with these values, for a while."""
    changed = []
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


def _set(name, value):
    if isinstance(value, bool):
        value = "on" if value else "off"
    _execute("set %s %s" % (name, "unlimited" if value is None else value))


_REFERENCES = (gdb.TYPE_CODE_REF, getattr(gdb, "TYPE_CODE_RVALUE_REF", gdb.TYPE_CODE_REF))
_PLACES = (gdb.TYPE_CODE_ARRAY, gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION, gdb.TYPE_CODE_FUNC)


def address_of(value):
    """The address which a value means: an object's own, else the number which it is."""
    code = value.type.strip_typedefs().code
    if code in _REFERENCES:
        value = value.referenced_value()
        code = value.type.strip_typedefs().code
    if code in _PLACES:
        if value.address is None:
            raise ExpressionError('a value of type "%s" which is not in memory has no address' % value.type)
        return int(value.address)
    if code in (gdb.TYPE_CODE_FLT, gdb.TYPE_CODE_VOID):
        raise ExpressionError('a value of type "%s" is no address' % value.type)
    return int(value)

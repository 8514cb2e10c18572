"""What the tm- commands ask of lldb: memory, symbols, expressions, and which core lldb reads.

Knows lldb and no trace table. Leaves lldb as it was, and the process too: lldb's own evaluator is never let loose on a
live process, for it maps and writes memory there even where it runs nothing.
"""

import contextlib
import sys

import lldb
from tracemortem.debugger import expression
from tracemortem.debugger.engine import FILE, READABLE, WRITABLE
from tracemortem.debugger.memory import CoreMemory, Memory, has_ended, local_process
from tracemortem.debugger.opened_core import OpenedCore
from tracemortem.debugger.shell import ENDED, RUNNING, CommandError, Debugger

_NOTHING_THERE = (lldb.eStateInvalid, lldb.eStateUnloaded, lldb.eStateConnected, lldb.eStateDetached, lldb.eStateExited)
_STOPPED = (lldb.eStateStopped, lldb.eStateCrashed, lldb.eStateSuspended)
_INTEGERS = lldb.eTypeIsInteger | lldb.eTypeIsEnumeration

STOP = "process interrupt"  # what to type


class Lldb(Debugger):
    """lldb, for one command: `pieces` is what was written, `warnings` what else to say."""

    example = "$rdi, &variable or *(unsigned long *)($rsp + 8)"

    def __init__(self, debugger, context):
        self._debugger = debugger
        self._target = context.GetTarget()
        self._frame = context.GetFrame()
        self._machine = None
        self._memory = None
        self.pieces = []
        self.warnings = []

    def write(self, text):
        self.pieces.append(text)

    def warn(self, text):
        self.warnings.append(text)

    def write_progress(self, text):
        if sys.stderr.isatty():  # which is the debugger's own
            sys.stderr.write(text)
            sys.stderr.flush()

    def should_stop(self):
        if hasattr(self._debugger, "InterruptRequested"):  # lldb 17
            return self._debugger.InterruptRequested()
        return self._debugger.GetCommandInterpreter().WasInterrupted()

    @contextlib.contextmanager
    def current(self, shell):
        process = self._target.GetProcess()
        state = process.GetState() if process.IsValid() else lldb.eStateInvalid
        if state in _NOTHING_THERE:
            yield None
        elif state not in _STOPPED:
            raise CommandError(RUNNING % (process.GetProcessID(), STOP))
        elif _is_core(process):
            core = shell.opened_core(_OpenedCore(self._debugger, self._target))
            self._machine = core.machine
            self._memory = CoreMemory(core, _Reader(self._target).symbol)
            yield self._memory
        elif self._target.GetPlatform().GetName() == "host" and has_ended(process.GetProcessID()):
            raise CommandError(ENDED % process.GetProcessID())
        else:
            with _Process(self._target) as self._memory:
                if self._memory.is_running():
                    raise CommandError(RUNNING % (process.GetProcessID(), STOP))
                yield self._memory

    def current_machine(self):
        return self._machine

    def evaluate(self, text):
        scope = _Scope(self._target, self._frame, self._memory)
        try:
            return expression.evaluate(text, scope)
        except expression.Unsupported as error:
            if not _is_core(self._target.GetProcess()):
                raise expression.ExpressionError(
                    "%s, for a live process: lldb's own evaluator would write to it" % error
                ) from None
            return self._evaluate_on_core(text)

    def _evaluate_on_core(self, text):
        """By lldb itself: a core cannot be written to."""
        options = lldb.SBExpressionOptions()
        options.SetAllowJIT(False)
        options.SetIgnoreBreakpoints(True)
        options.SetTryAllThreads(False)
        options.SetTimeoutInMicroSeconds(5000000)
        place = self._frame if self._frame.IsValid() else self._target
        value = place.EvaluateExpression(text, options)
        if value.GetError().Fail():
            reason = (value.GetError().GetCString() or "lldb gives no reason").strip().split("\n")[0]
            raise expression.ExpressionError(reason[len("error: ") :] if reason.startswith("error: ") else reason)
        return address_of(value)


def address_of(value):
    """The address which an SBValue means: the number which it is, else an object's own."""
    if value.TypeIsPointerType() or value.GetType().GetTypeFlags() & _INTEGERS:
        return value.GetValueAsUnsigned()
    address = value.GetLoadAddress()
    if address == lldb.LLDB_INVALID_ADDRESS:
        raise expression.ExpressionError('a value of type "%s" is no address' % value.GetTypeName())
    return address


class _Reader:
    """Reads the process of one target."""

    def __init__(self, target):
        self._target = target
        self._process = target.GetProcess()

    def read(self, address, length):
        error = lldb.SBError()
        data = self._process.ReadMemory(address, length, error)
        return data if error.Success() and data is not None and len(data) == length else None

    def symbol(self, name):
        for found in self._target.FindSymbols(name):
            address = found.GetSymbol().GetStartAddress().GetLoadAddress(self._target)
            if address != lldb.LLDB_INVALID_ADDRESS:
                return address
        return 0


class _Process(_Reader, Memory):
    """A stopped process; read past lldb's server where that is possible, which is fifty times as fast."""

    def __init__(self, target):
        super().__init__(target)
        self._local = local_process(self._process.GetProcessID())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._local:
            self._local.close()

    def is_running(self):
        return self._local is not None and self._local.is_running()

    def process(self):
        return self._local.process() if self._local else self._process.GetProcessID() & 0xFFFFFFFF

    def file_root(self):
        return self._local.file_root() if self._local else ""

    def read(self, address, length):
        data = self._local.read(address, length) if self._local else None
        return super().read(address, length) if data is None else data

    def regions(self):
        return self._local.regions() if self._local else _regions(self._process)


def _regions(process):
    found = process.GetMemoryRegions()
    region, regions = lldb.SBMemoryRegionInfo(), []
    for index in range(found.GetSize()):
        if found.GetMemoryRegionAtIndex(index, region) and region.IsMapped():
            name = region.GetName() or ""
            flags = READABLE * region.IsReadable() | WRITABLE * region.IsWritable() | FILE * name.startswith("/")
            name = name.encode("utf-8", "surrogateescape")
            regions.append((region.GetRegionBase(), region.GetRegionEnd(), flags, name))
    return regions


def _is_core(process):
    return process.GetPluginName() == "elf-core"


class _OpenedCore(OpenedCore):
    """The core which a target is."""

    open_again = "target create --core FILE"

    def __init__(self, debugger, target):
        self._debugger = debugger
        self._reader = _Reader(target)
        self._process = target.GetProcess()
        self.key = self._process.GetUniqueID()

    def all_keys(self):
        targets = (self._debugger.GetTargetAtIndex(i) for i in range(self._debugger.GetNumTargets()))
        return {target.GetProcess().GetUniqueID() for target in targets}

    def read(self, address, length):
        return self._reader.read(address, length)

    def path(self):
        return self._process.GetCoreFile().fullpath if hasattr(self._process, "GetCoreFile") else None  # lldb 18


def note_cores(debugger, shell):
    """Let the shell know of the cores which are open already."""
    for index in range(debugger.GetNumTargets()):
        target = debugger.GetTargetAtIndex(index)
        if target.GetProcess().IsValid() and _is_core(target.GetProcess()):
            shell.note_core(_OpenedCore(debugger, target))


class _Scope(expression.Scope):
    """The names of the selected frame, and what lldb knows of their types, read without evaluating anything."""

    def __init__(self, target, frame, memory):
        self._target = target
        self._frame = frame
        self._memory = memory

    def read(self, address, length):
        return self._memory.read(address, length)

    def register(self, name):
        value = self._frame.FindRegister(name) if self._frame.IsValid() else None
        if not value or not value.IsValid() or value.GetByteSize() > 8:
            return None
        return value.GetValueAsUnsigned()

    def variable(self, name):
        found = self._frame.FindVariable(name, lldb.eNoDynamicValues) if self._frame.IsValid() else None
        if not found or not found.IsValid():
            matches = self._target.FindGlobalVariables(name, 1)
            found = matches[0] if matches and len(matches) else None
        if found and found.IsValid() and found.GetError().Success():
            return self._value(found)
        return self._symbol(name)

    def _value(self, found):
        type_ = _type(found.GetType())
        address = found.GetLoadAddress()
        # What is in a register has a load address too: its value.
        if address != lldb.LLDB_INVALID_ADDRESS and (found.GetLocation() or "").startswith("0x"):
            return expression.Value(type_, address=address)
        if type_.kind in ("integer", "pointer"):
            bits = found.GetValueAsSigned() if type_.signed else found.GetValueAsUnsigned()
            return expression.Value(type_, bits=bits & expression.MASK)
        return expression.Value(type_)

    def _symbol(self, name):
        for found in self._target.FindSymbols(name):
            symbol = found.GetSymbol()
            address = symbol.GetStartAddress().GetLoadAddress(self._target)
            if address != lldb.LLDB_INVALID_ADDRESS:
                is_code = symbol.GetType() in (lldb.eSymbolTypeCode, lldb.eSymbolTypeResolver)
                type_ = expression.Type("function", name) if is_code else expression.UNKNOWN
                return expression.Value(type_, address=address)
        return None

    def type(self, name):
        for word in ("struct ", "union ", "enum ", "class "):
            if name.startswith(word):
                name = name[len(word) :]
        found = self._target.FindFirstType(name)
        return _type(found) if found.IsValid() else None


def _type(found):
    """lldb's type as the evaluator's."""
    found = found.GetCanonicalType()
    name, kind, size = found.GetName() or "?", found.GetTypeClass(), found.GetByteSize()
    if kind & (lldb.eTypeClassPointer | lldb.eTypeClassReference):
        if kind & lldb.eTypeClassReference:
            return expression.Type("other", name, size)
        return expression.Type("pointer", name, size, target=lambda: _type(found.GetPointeeType()))
    if kind & lldb.eTypeClassArray:
        return expression.Type("array", name, size, target=lambda: _type(found.GetArrayElementType()))
    if kind & (lldb.eTypeClassStruct | lldb.eTypeClassUnion | lldb.eTypeClassClass):
        return expression.Type("record", name, size, member=lambda member: _member(found, member, 0))
    if kind & lldb.eTypeClassFunction:
        return expression.Type("function", name)
    flags = found.GetTypeFlags()
    if name == "void":
        return expression.VOID
    if flags & _INTEGERS and not flags & lldb.eTypeIsFloat:
        return expression.integer(name, size, bool(flags & lldb.eTypeIsSigned))
    return expression.Type("other", name, size)


def _member(record, name, depth):
    """(offset, type) of a record's member; those of nameless members and of base classes count as its own."""
    if depth > 20:
        return None
    for index in range(record.GetNumberOfFields()):
        field = record.GetFieldAtIndex(index)
        if field.GetName() == name:
            if field.IsBitfield():
                raise expression.Unsupported('the bit field "%s" is not supported' % name)
            return field.GetOffsetInBytes(), _type(field.GetType())
    nameless = [record.GetFieldAtIndex(i) for i in range(record.GetNumberOfFields())]
    inner = [field for field in nameless if not field.GetName()]
    inner += [record.GetDirectBaseClassAtIndex(i) for i in range(record.GetNumberOfDirectBaseClasses())]
    for field in inner:
        found = _member(field.GetType(), name, depth + 1)
        if found:
            return field.GetOffsetInBytes() + found[0], found[1]
    return None

"""What the tm- commands need from lldb: memory, symbols, expressions, and which core lldb reads.

This module knows lldb and no trace table. It leaves lldb and the process as they were: it never uses lldb's own
evaluator on a live process, since that maps and writes memory there even if it runs nothing.
"""

from __future__ import annotations

import contextlib
import re
import sys
from typing import Any, Iterator, List, Set, Tuple

import lldb
from tracemortem.debugger import expression, switch
from tracemortem.debugger.engine import Bytes, Mapping, Memory, Module, Screen, Thread
from tracemortem.debugger.front_end import ENDED, RUNNING, CommandError, Debugger
from tracemortem.debugger.header import REGION_FILE, REGION_READABLE, REGION_WRITABLE, PrivateKind
from tracemortem.debugger.memory import CoreMemory, has_ended, local_process, parse_maps
from tracemortem.debugger.opened_core import OpenedCore
from tracemortem.debugger.shell import Shell
from tracemortem.debugger.source_files import SourceFiles

_NOTHING_THERE = (lldb.eStateInvalid, lldb.eStateUnloaded, lldb.eStateConnected, lldb.eStateDetached, lldb.eStateExited)
_STOPPED = (lldb.eStateStopped, lldb.eStateCrashed, lldb.eStateSuspended)
_INTEGERS = lldb.eTypeIsInteger | lldb.eTypeIsEnumeration

STOP = "process interrupt"  # what the user must type


class Lldb(Debugger):
    """One command's view of lldb. It collects the answer in `pieces`, and the warnings."""

    example = "$rdi, &variable or *(unsigned long *)($rsp + 8)"

    def __init__(self, debugger: Any, context: Any) -> None:
        self._debugger = debugger
        self._target = context.GetTarget()
        self._frame = context.GetFrame()
        self._machine: int | None = None
        self._memory: Memory | None = None
        self.pieces: List[str] = []
        self.warnings: List[str] = []

    def screen(self) -> Screen | None:
        output = self._debugger.GetOutputFileHandle()
        interactive = self._debugger.GetCommandInterpreter().IsInteractive()
        if not interactive or output is None or not output.isatty():
            return None
        styled = hasattr(self._debugger, "GetUseColor") and self._debugger.GetUseColor()  # lldb 12
        return Screen(self._debugger.GetTerminalWidth(), bool(styled))

    def write(self, text: str) -> None:
        self.pieces.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def write_progress(self, text: str) -> None:
        if sys.stderr.isatty():  # it is the debugger's own
            sys.stderr.write(text)
            sys.stderr.flush()

    def should_stop(self) -> bool:
        if hasattr(self._debugger, "InterruptRequested"):  # lldb 17
            return bool(self._debugger.InterruptRequested())
        return bool(self._debugger.GetCommandInterpreter().WasInterrupted())

    @contextlib.contextmanager
    def current(self, shell: Shell) -> Iterator[Memory | None]:
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
        elif has_ended(process.GetProcessID()) and self._is_local():
            raise CommandError(ENDED % process.GetProcessID())
        else:
            with _Process(self._target) as memory:
                if memory.is_running():
                    raise CommandError(RUNNING % (process.GetProcessID(), STOP))
                self._memory = memory
                yield memory

    def _is_local(self) -> bool:
        """Whether the process's number is one of this host. lldb takes GNU's gdbserver for this host, wherever it is."""
        return self._target.GetPlatform().GetName() == "host" and not GnuServer(self._target).is_there()

    def current_machine(self) -> int | None:
        return self._machine

    def evaluate(self, text: str) -> int:
        scope = _Scope(self._target, self._frame, self._memory)
        try:
            return expression.evaluate(text, scope)
        except expression.Unsupported as error:
            if not _is_core(self._target.GetProcess()):
                raise expression.ExpressionError(
                    "%s, for a live process: lldb's own evaluator would write to it" % error
                ) from None
            return self._evaluate_on_core(text)

    def _evaluate_on_core(self, text: str) -> int:
        """Let lldb evaluate: it cannot write to a core."""
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


def address_of(value: Any) -> int:
    """The address that an SBValue means: the value of a pointer or an integer, else where the object is."""
    if value.TypeIsPointerType() or value.GetType().GetTypeFlags() & _INTEGERS:
        return int(value.GetValueAsUnsigned())
    address = int(value.GetLoadAddress())
    if address == lldb.LLDB_INVALID_ADDRESS:
        raise expression.ExpressionError('a value of type "%s" is not an address' % value.GetTypeName())
    return address


# ----------------------------------------------------------------------------------------------------------------------
# Calls in the process, for tm-start and tm-stop


def caller(context: Any) -> switch.Caller | None:
    """The selected target's process, or None if it is no live process."""
    process = context.GetTarget().GetProcess()
    state = process.GetState() if process.IsValid() else lldb.eStateInvalid
    if state in _NOTHING_THERE or _is_core(process):
        return None
    if state not in _STOPPED:
        raise CommandError(RUNNING % (process.GetProcessID(), STOP))
    return _Caller(context.GetTarget())


class _Caller(switch.Caller):
    """A live process."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self._process = target.GetProcess()
        self._frame: Any = None
        is_local = target.GetPlatform().GetName() == "host" and not GnuServer(target).is_there()
        self.pid = self._process.GetProcessID() if is_local else 0

    def symbol(self, name: str) -> int:
        return _Reader(self._target).symbol(name)

    def regions(self) -> List[Mapping]:
        with _Process(self._target) as memory:
            return memory.regions()

    def read(self, address: int, length: int) -> Bytes | None:
        return _Reader(self._target).read(address, length)

    def write(self, address: int, data: bytes) -> None:
        error = lldb.SBError()
        if self._process.WriteMemory(address, data, error) != len(data) or error.Fail():
            raise CommandError("the process's memory cannot be written: %s" % error.GetCString())

    def threads(self) -> Iterator[Tuple[int, switch.Registers]]:
        for index in range(self._process.GetNumThreads()):
            thread = self._process.GetThreadAtIndex(index)
            self._frame = thread.GetFrameAtIndex(0)
            yield thread.GetThreadID(), _registers(self._frame)

    def call(self, function: int, *arguments: int) -> int:
        words = ", ".join("%dUL" % argument for argument in arguments)
        kind = "unsigned long (*)(%s)" % ", ".join(["unsigned long"] * len(arguments))
        options = lldb.SBExpressionOptions()
        options.SetIgnoreBreakpoints(True)
        options.SetUnwindOnError(True)
        options.SetStopOthers(False)
        options.SetTryAllThreads(True)
        options.SetTimeoutInMicroSeconds(30000000)
        options.SetLanguage(lldb.eLanguageTypeC)
        value = self._frame.EvaluateExpression("((%s) %dUL)(%s)" % (kind, function, words), options)
        if value.GetError().Fail():
            why = (value.GetError().GetCString() or "lldb gives no reason").strip().split("\n")[0]
            raise CommandError("a function cannot be called in the process: %s" % why)
        return int(value.GetValueAsUnsigned())


def _registers(frame: Any) -> switch.Registers:
    register = frame.FindRegister("rax")  # not there on another machine
    result = int(register.GetValueAsUnsigned()) if register.IsValid() else 0
    return switch.Registers(int(frame.GetPC()), result - (1 << 64) if result >= 1 << 63 else result)


class _Reader:
    """Reads the process of one target."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self._process = target.GetProcess()

    def read(self, address: int, length: int) -> Bytes | None:
        error = lldb.SBError()
        data: bytes | None = self._process.ReadMemory(address, length, error)
        return data if error.Success() and data is not None and len(data) == length else None

    def symbol(self, name: str) -> int:
        for found in self._target.FindSymbols(name):
            address: int = found.GetSymbol().GetStartAddress().GetLoadAddress(self._target)
            if address != lldb.LLDB_INVALID_ADDRESS:
                return address
        return 0


class _Process(_Reader, Memory):
    """A stopped process. If it is local it is read without lldb's server, which is fifty times as fast."""

    def __init__(self, target: Any) -> None:
        super().__init__(target)
        self._local = local_process(self._process.GetProcessID())

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._local:
            self._local.close()

    def is_running(self) -> bool:
        return self._local is not None and self._local.is_running()

    def process(self) -> int:
        return self._local.process() if self._local else int(self._process.GetProcessID()) & 0xFFFFFFFF

    def private_memory(self) -> Tuple[PrivateKind, int]:
        return self._local.private_memory() if self._local else super().private_memory()

    def page_map(self, address: int, count: int) -> bytes:
        return self._local.page_map(address, count) if self._local else b""

    def resident(self) -> int:
        return self._local.resident() if self._local else 0

    def source_files(self) -> SourceFiles:
        return self._local.source_files() if self._local else SourceFiles()

    def read(self, address: int, length: int) -> Bytes | None:
        data = self._local.read(address, length) if self._local else None
        return super().read(address, length) if data is None else data

    def modules(self) -> List[Module]:
        return self._local.modules() if self._local else []

    def threads(self) -> List[Thread]:
        return [_thread(self._process.GetThreadAtIndex(index)) for index in range(self._process.GetNumThreads())]

    def regions(self) -> List[Mapping]:
        if self._local:
            return self._local.regions()
        return _regions(self._process) or GnuServer(self._target).regions(self._process.GetProcessID())


def _thread(thread: Any) -> Thread:
    frame = thread.GetFrameAtIndex(0)
    general = frame.GetRegisters().GetFirstValueByName("General Purpose Registers")
    registers = [general.GetChildAtIndex(index) for index in range(general.GetNumChildren())]
    values = [int(register.GetValueAsUnsigned()) for register in registers if register.GetByteSize() == 8]
    return Thread(int(thread.GetThreadID()), int(frame.GetSP()), values)


def _regions(process: Any) -> List[Mapping]:
    """What lldb lists of a process that is not local."""
    found = process.GetMemoryRegions()
    region, regions = lldb.SBMemoryRegionInfo(), []
    for index in range(found.GetSize()):
        if found.GetMemoryRegionAtIndex(index, region) and region.IsMapped():
            name = region.GetName() or ""
            flags = REGION_READABLE * region.IsReadable() | REGION_WRITABLE * region.IsWritable()
            flags |= REGION_FILE * name.startswith("/")
            encoded = name.encode("utf-8", "surrogateescape")
            regions.append((region.GetRegionBase(), region.GetRegionEnd(), flags, encoded))
    return regions


class GnuServer:
    """GNU's gdbserver, if that is what a target's process is behind. lldb cannot ask it for regions, but the server
    reads files for its client."""

    _PIECE = 0x1000  # bytes of a file in one answer
    _MOST = 64 << 20  # bytes of a list of mappings

    def __init__(self, target: Any) -> None:
        self._interpreter = target.GetDebugger().GetCommandInterpreter()
        self._context = lldb.SBExecutionContext(target)

    def is_there(self) -> bool:
        """Whether it does not answer what all of lldb's servers do."""
        return self._ask("qHostInfo") == "" and self._ask("vFile:setfs:0").startswith("F")

    def regions(self, pid: int) -> List[Mapping]:
        """What the kernel lists there; empty if the server cannot read it."""
        name = ("/proc/%d/maps" % pid).encode().hex()
        self._ask("vFile:setfs:0")
        file, _ = _file_answer(self._ask("vFile:open:%s,0,0" % name))
        if file < 0:
            return []
        pieces, at = [], 0
        while at < self._MOST:
            count, data = _file_answer(self._ask("vFile:pread:%x,%x,%x" % (file, self._PIECE, at)))
            if not 0 < count <= self._PIECE:
                break
            pieces.append(data)
            at += count
        self._ask("vFile:close:%x" % file)
        return parse_maps(b"".join(pieces))

    def _ask(self, packet: str) -> str:
        """The answer to a packet; "" if there is none."""
        result = lldb.SBCommandReturnObject()
        self._interpreter.HandleCommand("process plugin packet send " + packet, self._context, result, False)
        _, found, answer = (result.GetOutput() or "").partition("\nresponse: ")
        return answer[:-1] if found else ""  # a newline ends it


def _file_answer(answer: str) -> Tuple[int, bytes]:
    """The number and the bytes of an answer to a packet of vFile; -1: it failed."""
    match = re.match(r"F([0-9a-f]{1,8})(?:;(.*))?\Z", answer, re.DOTALL)
    if not match:
        return -1, b""
    return int(match.group(1), 16), (match.group(2) or "").encode("utf-8", "surrogateescape")


def _is_core(process: Any) -> bool:
    return str(process.GetPluginName()) == "elf-core"


class _OpenedCore(OpenedCore):
    """The core of a target."""

    open_again = "target create --core FILE"

    def __init__(self, debugger: Any, target: Any) -> None:
        self._debugger = debugger
        self._reader = _Reader(target)
        self._process = target.GetProcess()
        self.key = self._process.GetUniqueID()

    def all_keys(self) -> Set[int]:
        targets = (self._debugger.GetTargetAtIndex(i) for i in range(self._debugger.GetNumTargets()))
        return {target.GetProcess().GetUniqueID() for target in targets}

    def read(self, address: int, length: int) -> Bytes | None:
        return self._reader.read(address, length)

    def path(self) -> str | None:
        return self._process.GetCoreFile().fullpath if hasattr(self._process, "GetCoreFile") else None  # lldb 18


def note_cores(debugger: Any, shell: Shell) -> None:
    """Show the shell the cores that are open already."""
    for index in range(debugger.GetNumTargets()):
        target = debugger.GetTargetAtIndex(index)
        if target.GetProcess().IsValid() and _is_core(target.GetProcess()):
            shell.note_core(_OpenedCore(debugger, target))


class _Scope(expression.Scope):
    """The names of the selected frame and their types, which lldb looks up without evaluating anything."""

    def __init__(self, target: Any, frame: Any, memory: Memory | None) -> None:
        self._target = target
        self._frame = frame
        self._memory = memory

    def read(self, address: int, length: int) -> Bytes | None:
        return self._memory.read(address, length) if self._memory else None

    def register(self, name: str) -> int | None:
        value = self._frame.FindRegister(name) if self._frame.IsValid() else None
        if not value or not value.IsValid() or value.GetByteSize() > 8:
            return None
        return int(value.GetValueAsUnsigned())

    def variable(self, name: str) -> expression.Value | None:
        found = self._frame.FindVariable(name, lldb.eNoDynamicValues) if self._frame.IsValid() else None
        if not found or not found.IsValid():
            matches = self._target.FindGlobalVariables(name, 1)
            found = matches[0] if matches and len(matches) else None
        if found and found.IsValid() and found.GetError().Success():
            return self._value(found)
        return self._symbol(name)

    def _value(self, found: Any) -> expression.Value:
        type_ = _type(found.GetType())
        address = found.GetLoadAddress()
        # A variable in a register has a load address too: its value.
        if address != lldb.LLDB_INVALID_ADDRESS and (found.GetLocation() or "").startswith("0x"):
            return expression.Value(type_, address=address)
        if type_.kind in ("integer", "pointer"):
            bits = found.GetValueAsSigned() if type_.signed else found.GetValueAsUnsigned()
            return expression.Value(type_, bits=bits & expression.MASK)
        return expression.Value(type_)

    def _symbol(self, name: str) -> expression.Value | None:
        for found in self._target.FindSymbols(name):
            symbol = found.GetSymbol()
            address = symbol.GetStartAddress().GetLoadAddress(self._target)
            if address != lldb.LLDB_INVALID_ADDRESS:
                is_code = symbol.GetType() in (lldb.eSymbolTypeCode, lldb.eSymbolTypeResolver)
                type_ = expression.Type("function", name) if is_code else expression.UNKNOWN
                return expression.Value(type_, address=address)
        return None

    def type(self, name: str) -> expression.Type | None:
        for word in ("struct ", "union ", "enum ", "class "):
            if name.startswith(word):
                name = name[len(word) :]
        found = self._target.FindFirstType(name)
        return _type(found) if found.IsValid() else None


def _type(found: Any) -> expression.Type:
    """The evaluator's Type for an SBType."""
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


def _member(record: Any, name: str, depth: int) -> expression.Member | None:
    """A record's member. Members of its nameless members and of its base classes count as its own."""
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

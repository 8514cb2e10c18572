"""Runs a process instruction by instruction, and has the engine look at it in between, without a debugger.

    with Stepper(process) as stepper:              # a debuggers.Process that waits for something
        stepper.break_at("PyTraceMalloc_Track")    # by its name in the interpreter's symbol table
        while stepper.run_to_break():              # False: the process has ended
            for _ in stepper.steps():              # to the end of that function, one instruction at a time; or skip()
                stepper.ask("tm-traces", "--json")

Knows x86-64 Linux.
"""

import ctypes
import json
import os
import signal
import struct
import subprocess
import sys

import debuggers

sys.path.insert(0, debuggers.PACKAGE_PATH)

from tracemortem.debugger import engine  # noqa: E402
from tracemortem.debugger.header import REGION_WRITABLE  # noqa: E402
from tracemortem.debugger.memory import LocalProcess, parse_maps  # noqa: E402

_CONT, _SINGLESTEP, _GETREGS, _SETREGS, _ATTACH = 7, 9, 12, 13, 16
_RIP, _RSP = 16, 19  # in struct user_regs_struct
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def _ptrace(request, pid, address=None, data=None):
    if _libc.ptrace(request, pid, address, data) == -1 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), "ptrace(%d)" % request)


class Symbols:
    """The symbols of a process's interpreter, from the file that contains tracemalloc."""

    def __init__(self, pid):
        with open("/proc/%d/maps" % pid) as file:
            maps = [line.split(None, 5) for line in file]
        files = {}
        for words in maps:
            if len(words) == 6 and words[5].startswith("/"):
                files.setdefault(words[5].strip(), int(words[0].split("-")[0], 16) - int(words[2], 16))
        self.addresses = {}
        for path, base in files.items():
            if "python" in os.path.basename(path):
                names = subprocess.run(["nm", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
                if "PyTraceMalloc_Track" in names:
                    for line in names.splitlines():
                        words = line.split()
                        if len(words) == 3:
                            self.addresses[words[2]] = base + int(words[0], 16)


class _Memory(engine.Memory):
    """The memory of a stopped process, limited to the mappings in which tables can be."""

    def __init__(self, pid, symbols):
        self._process = LocalProcess(pid)
        self._symbols = symbols
        with open("/proc/%d/maps" % pid, "rb") as file:
            regions = parse_maps(file.read())
        self._regions = [region for region in regions if region[2] & REGION_WRITABLE]

    def read(self, address, length):
        return self._process.read(address, length)

    def symbol(self, name):
        return self._symbols.get(name, 0)

    def regions(self):
        return self._regions

    def close(self):
        self._process.close()


class _Host(engine.Host):
    def __init__(self):
        self.pieces = []

    def should_stop(self):
        return False

    def write(self, text):
        self.pieces.append(text)

    def source_line(self, file_name, line):
        return "", False


class Stepper:
    def __init__(self, process):
        self.pid = process.pid
        self.symbols = Symbols(self.pid).addresses
        assert self.symbols, "the interpreter has no symbol table"
        self._breaks = {}
        self._host = _Host()
        self._session = engine.Session(engine.Engine(), self._host)
        self._ended = False

    def __enter__(self):
        _ptrace(_ATTACH, self.pid)
        os.waitpid(self.pid, 0)
        self._file = os.open("/proc/%d/mem" % self.pid, os.O_RDWR)
        return self

    def __exit__(self, *_):
        os.close(self._file)
        self._session.close()
        if not self._ended:
            os.kill(self.pid, signal.SIGKILL)

    def read(self, address, length):
        return os.pread(self._file, length, address)

    def word(self, address):
        return struct.unpack("<Q", self.read(address, 8))[0]

    def break_at(self, *names):
        """Set breakpoints at those of these functions that exist."""
        for name in names:
            if name in self.symbols:
                address = self.symbols[name]
                self._breaks[address] = self.read(address, 1)
                os.pwrite(self._file, b"\xcc", address)

    def _registers(self):
        registers = (ctypes.c_ulonglong * 27)()
        _ptrace(_GETREGS, self.pid, None, ctypes.addressof(registers))
        return registers

    def _resume(self, request):
        """Continue until the next stop. Returns False if the process has ended."""
        passed = 0
        while True:
            _ptrace(request, self.pid, None, passed)
            _, status = os.waitpid(self.pid, 0)
            if not os.WIFSTOPPED(status):
                self._ended = True
                return False
            if os.WSTOPSIG(status) == signal.SIGTRAP:
                return True
            passed = os.WSTOPSIG(status) if os.WSTOPSIG(status) != signal.SIGSTOP else 0

    def run_to_break(self):
        if not self._resume(_CONT):
            return False
        registers = self._registers()
        registers[_RIP] -= 1
        self._at = registers[_RIP]
        self._frame = registers[_RSP]
        os.pwrite(self._file, self._breaks[self._at], self._at)
        _ptrace(_SETREGS, self.pid, None, ctypes.addressof(registers))
        return True

    def steps(self):
        """Yield after every instruction of the function at the breakpoint and of the functions it calls."""
        self._arm(False)
        while True:
            assert self._resume(_SINGLESTEP)
            if self._registers()[_RSP] > self._frame:
                break
            yield
        self._arm(True)

    def _arm(self, armed):
        for address, byte in self._breaks.items():
            os.pwrite(self._file, b"\xcc" if armed else byte, address)

    def skip(self):
        """Let the function at the breakpoint run without stepping."""
        assert self._resume(_SINGLESTEP)
        os.pwrite(self._file, b"\xcc", self._at)

    def ask(self, command, line=""):
        """The engine's answer to a command line, parsed from JSON."""
        memory = _Memory(self.pid, self.symbols)
        self._host.pieces.clear()
        try:
            with engine.Target(self._session, memory) as target, self._session.request(command, line) as request:
                request.run(target)
        finally:
            memory.close()
        return json.loads("".join(self._host.pieces))

"""Where a target's memory is: in a core file, or in a process on this host; and what is mapped in it.

It makes the same what the debuggers do differently: a core has exactly the memory that its file holds, and a local
process has the mappings that the kernel lists. This module knows no debugger and no trace table.
"""

from __future__ import annotations

import os
import re
import signal
from typing import Callable, List, Tuple

from .core_file import CoreFile
from .engine import Backing, Bytes, Mapping, Memory, Module, Thread
from .header import REGION_ABSENT, REGION_FILE, REGION_READABLE, REGION_WRITABLE, BackingKind, Life, PrivateKind
from .module_files import ModuleFiles
from .recorder_file import find_table, life, note_bytes, recorder_note, saved_note
from .source_files import HostFiles, ProcessFiles, SourceFiles

LONGEST_ENVIRONMENT = 1 << 20  # bytes of it to look at
# By which the kernel makes a core. (SIGTRAP may be a debugger's.)
ENDING_SIGNALS = (
    signal.SIGQUIT,
    signal.SIGILL,
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGSEGV,
    signal.SIGXCPU,
    signal.SIGXFSZ,
    signal.SIGSYS,
)
PAGE = 4096


class CoreMemory(Memory):
    """A core, read straight from its file, even if a debugger has it open: gdb reads zeros where memory was not dumped.

    A core of a comparison is not opened in the debugger, for that leaves traces: gdb uses up a number for an inferior,
    announces switches that only gdb 13 can keep silent, and refuses a truncated core of gcore. `symbol` looks up a
    symbol in the debugger. Without it no symbols are known, and the engine finds the table all the same.
    """

    def __init__(self, core: CoreFile, symbol: Callable[[str], int] | None = None) -> None:
        self._core = core
        self._symbol = symbol
        self._files: ModuleFiles = core.module_files or ModuleFiles(core)
        core.module_files = self._files
        self._note = recorder_note(core)
        self._saved = saved_note(core)
        if core.table is None and not core.table_why:
            find_table(core)

    def symbol(self, name: str) -> int:
        return self._symbol(name) if self._symbol else 0

    def regions(self) -> List[Mapping]:
        found = []
        for segment in self._core.segments:
            flags = _region_flags(segment.readable, segment.writable, segment.is_file)
            if segment.held_end > segment.start:
                found.append((segment.start, segment.held_end, flags, b""))
            if segment.end > segment.held_end:
                found.append((segment.held_end, segment.end, flags | REGION_ABSENT, b""))
        return found + self._unlisted()

    def _unlisted(self) -> List[Mapping]:
        """What was mapped from files and has no segment, since nothing of it was dumped."""
        found = []
        for file in self._core.files:
            start = file.start
            while start < file.end:
                segment = self._core.segment_with(start)
                end = min(file.end, segment.end) if segment else self._core.next_held(start, file.end)
                if segment is None:
                    found.append((start, end, REGION_READABLE | REGION_FILE | REGION_ABSENT, b""))
                start = end
        return found

    def why_missing(self, address: int) -> str:
        return self._files.why_missing(address) or self._core.why_missing(address)

    def threads(self) -> List[Thread]:
        return [Thread(number, registers[at], list(registers)) for number, registers, at in self._core.threads]

    def modules(self) -> List[Module]:
        return [(file.start, file.end, file.offset, file.path) for file in self._core.files]

    def process(self) -> int:
        return self._core.process

    def source_files(self) -> SourceFiles:
        return HostFiles(self._moment(), lambda: self._variable(b"PWD"))

    def _moment(self) -> int:
        """After which the process did not run."""
        return self._saved.moment if self._saved else self._core.bytes.identity[3]

    def backing(self) -> Backing:
        if self._note:
            return self._recorder(self._core, BackingKind.RECORDER)
        if self._saved:
            return Backing(BackingKind.SAVED, moment=self._moment(), note=self._core.own_note[1])
        if self._core.table:
            return self._recorder(self._core.table, BackingKind.CORE)
        return Backing(BackingKind.CORE, moment=self._moment(), file=self._core.table_path, why=self._core.table_why)

    def _recorder(self, file: CoreFile, kind: BackingKind) -> Backing:
        note, changed = note_bytes(file), os.fstat(file.bytes.fileno()).st_mtime_ns
        return Backing(
            kind,
            life(file),
            self._moment(),
            changed,
            os.fsencode(file.path),
            note=note[1],
            crashed=self._core.signal in ENDING_SIGNALS,
        )

    def may_run(self) -> bool:
        return self._note is not None and life(self._core) != Life.ENDED

    def private_memory(self) -> Tuple[PrivateKind, int]:
        if self._note:
            return PrivateKind.UNKNOWN, 0
        if self._saved:
            known = self._saved.private_kind in list(PrivateKind)
            return PrivateKind(self._saved.private_kind if known else 0), self._saved.private_bytes
        return PrivateKind.IN_CORE, self._core.private_bytes()

    def _variable(self, name: bytes) -> bytes:
        """A variable of the environment that the program started with, or b"". The program may have overwritten it."""
        end = self._core.program_name
        segment = self._core.segment_at(end - 1)
        start = max(segment.start, end - LONGEST_ENVIRONMENT) if segment else end
        data = bytes(self.read(start, end - start) or b"")
        found = data.rfind(b"\0" + name + b"=")
        return data[found + 1 :].split(b"\0", 1)[0][len(name) + 1 :] if found >= 0 else b""

    def read(self, address: int, length: int) -> Bytes | None:
        data = bytearray(length)
        return data if self.read_into(address, memoryview(data)) else None

    def read_into(self, address: int, buffer: memoryview) -> bool:
        while buffer:
            done = _read_held(self._core, address, buffer) or self._read_table(address, buffer)
            if not done and self._core.segment_at(address) is None:
                done = self._files.read_into(address, buffer)
            if not done and self._note and self._core.refresh():
                done = _read_held(self._core, address, buffer)
            if not done:
                return False
            address += done
            buffer = buffer[done:]
        return True

    def _read_table(self, address: int, buffer: memoryview) -> int:
        """From the recorder's file that the core names: what the core lacks of the table."""
        table = self._core.table
        if table is None:
            return 0
        buffer = buffer[: self._core.next_held(address, address + len(buffer)) - address]
        done = _read_held(table, address, buffer)
        return _read_held(table, address, buffer) if not done and table.refresh() else done


def _read_held(core: CoreFile, address: int, buffer: memoryview) -> int:
    """Fill the beginning of the buffer with what the file holds, of one segment; returns how much, 0: nothing."""
    segment = core.segment_at(address)
    if segment is None:
        return 0
    part = buffer[: segment.held_end - address]
    return core.bytes.read_into(segment.offset + address - segment.start, part)


class LocalProcess:
    """A process on this host that this debugger has stopped. Use it only while the process is stopped, and close it."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._maps = "/proc/%d/maps" % pid
        self._path = "/proc/%d/mem" % pid
        self._file: int | None = None

    def read(self, address: int, length: int) -> bytes | None:
        """The bytes, or None if the kernel refuses; the debugger may have another way to read them."""
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            data = os.pread(self._file, length, address)
        except (OSError, OverflowError):
            return None
        return data if len(data) == length else None

    def regions(self) -> List[Mapping]:
        try:
            with open(self._maps, "rb") as file:
                return parse_maps(file.read())
        except OSError:
            return []

    def modules(self) -> List[Module]:
        try:
            with open(self._maps, "rb") as file:
                return parse_modules(file.read())
        except OSError:
            return []

    def process(self) -> int:
        """The process's id as the process sees it, in its own namespace."""
        return int(_status(self._pid, rb"NSpid:.*\s(\d+)$") or self._pid)

    def private_memory(self) -> Tuple[PrivateKind, int]:
        """What the kernel counts: resident or swapped out, and of shared memory this process's part."""
        counted = _sum_of_sizes(self._pid, "smaps_rollup", rb"Anonymous|Pss_Shmem|Swap")
        if counted is None:
            counted = _sum_of_sizes(self._pid, "status", rb"RssAnon|RssShmem|VmSwap")
        return (PrivateKind.UNKNOWN, 0) if counted is None else (PrivateKind.RESIDENT, counted)

    def page_map(self, address: int, count: int) -> bytes:
        """The kernel's words for these pages of 4096 bytes, or b"" if it refuses or has larger pages."""
        if os.sysconf("SC_PAGESIZE") != PAGE:
            return b""
        try:
            with open("/proc/%d/pagemap" % self._pid, "rb", buffering=0) as file:
                return os.pread(file.fileno(), 8 * count, address // PAGE * 8)
        except (OSError, OverflowError):
            return b""

    def resident(self) -> int:
        """What the kernel counts as Rss, or 0."""
        counted = _sum_of_sizes(self._pid, "smaps_rollup", rb"Rss")
        return counted or _sum_of_sizes(self._pid, "status", rb"VmRSS") or 0

    def source_files(self) -> SourceFiles:
        return ProcessFiles(self._pid)

    def is_running(self) -> bool:
        """Whether the kernel says so: right after a "continue" a debugger may not know it yet."""
        return _status(self._pid, rb"State:\s*([RSD])") is not None

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def local_process(pid: int) -> LocalProcess | None:
    """The LocalProcess if the process with this number *on this host* is held by this debugger, else None.

    A process on another machine can have the same number as one here. Ours is traced by this very process, or by a
    server that is its child.
    """
    tracer = int(_status(pid, rb"TracerPid:\s*(\d+)") or 0)
    if tracer and os.getpid() in (tracer, int(_status(tracer, rb"PPid:\s*(\d+)") or 0)):
        return LocalProcess(pid)
    return None


def has_ended(pid: int) -> bool:
    """Whether a process on this host is gone, or only its exit status is left."""
    try:
        threads = os.listdir("/proc/%d/task" % pid)
    except (FileNotFoundError, ProcessLookupError):
        return os.path.isdir("/proc/self")
    except OSError:
        return False
    return all(_status("%d/task/%s" % (pid, thread), rb"State:\s*([ZX])") for thread in threads)


def _status(pid: int | str, pattern: bytes) -> bytes | None:
    """What the group of this pattern matches in a process's status, or None."""
    try:
        with open("/proc/%s/status" % pid, "rb") as file:
            match = re.search(b"^" + pattern, file.read(), re.MULTILINE)
    except OSError:
        return None
    return match.group(1) if match else None


def _sum_of_sizes(pid: int, file_name: str, names: bytes) -> int | None:
    """The sum of these lines, "NAME:  123 kB", of a file in /proc/PID; None if there is none."""
    try:
        with open("/proc/%d/%s" % (pid, file_name), "rb") as file:
            sizes = re.findall(rb"^(?:%s):\s*(\d+) kB$" % names, file.read(), re.MULTILINE)
    except OSError:
        return None
    return sum(map(int, sizes)) * 1024 if sizes else None


_MAPS_LINE = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) \S+ (\d+) *(.*)")


def parse_maps(data: bytes) -> List[Mapping]:
    """The regions that /proc/PID/maps lists."""
    regions = []
    for line in data.splitlines():
        match = _MAPS_LINE.fullmatch(line)
        if match:
            start, end, permissions, _, inode, name = match.groups()
            flags = _region_flags(b"r" in permissions, b"w" in permissions, inode != b"0")
            regions.append((int(start, 16), int(end, 16), flags, name))
    return regions


def parse_modules(data: bytes) -> List[Module]:
    """What /proc/PID/maps lists of files."""
    matches = filter(None, map(_MAPS_LINE.fullmatch, data.splitlines()))
    return [
        (int(start, 16), int(end, 16), int(offset, 16), name)
        for start, end, _, offset, inode, name in (match.groups() for match in matches)
        if inode != b"0"
    ]


# Start, end, size and offset; then the permissions, which a gdb before 12 or an old remote lacks, and the name.
_GDB_LINE = re.compile(
    r"\s*0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+0x[0-9a-f]+\s+0x[0-9a-f]+(?:\s+([-r][-w][-x][-ps]))?(?:\s+(\S.*))?"
)


def parse_info_proc_mappings(text: str) -> List[Mapping]:
    """The regions that gdb's `info proc mappings` lists, for a process that is not on this host."""
    regions = []
    for line in text.splitlines():
        match = _GDB_LINE.fullmatch(line.rstrip())
        if match:
            start, end, permissions, name = match.groups(default="")
            permissions = permissions or "rw"
            flags = _region_flags("r" in permissions, "w" in permissions, name.startswith("/"))
            regions.append((int(start, 16), int(end, 16), flags, name.encode("utf-8", "surrogateescape")))
    return regions


def _region_flags(readable: bool, writable: bool, is_file: bool) -> int:
    return REGION_READABLE * readable | REGION_WRITABLE * writable | REGION_FILE * is_file

"""What an ELF core file says about itself: what it is a core of, and which memory it really holds.

Debuggers differ if a core holds less than it lists: one reads zeros, one reads short, one fails. So this module finds
out what a core holds. It reads only the headers and the notes of the file. It knows no debugger and no trace table.
"""

from __future__ import annotations

import bisect
import errno
import os
import platform
import stat
import struct
from typing import Any, Iterable, Iterator, List, NamedTuple, Tuple

ELF_MAGIC = b"\x7fELF"
ET_CORE = 4
PT_LOAD = 1
PT_NOTE = 4
NT_PRSTATUS = 1
NT_PRPSINFO = 3
NT_AUXV = 6
NT_FILE = 0x46494C45
AT_EXECFN = 31
PF_WRITE = 2
PF_READ = 4
OWN_NOTE = b"TRACEMORTEM\0"  # of a recorder's file or of a saved table
PN_XNUM = 0xFFFF  # the number of program headers is in section header 0

KINDS = {1: "an object file", 2: "a program", 3: "a program or a shared library"}  # by e_type
MACHINES = {
    3: "x86",
    8: "MIPS",
    20: "PowerPC",
    21: "PowerPC64",
    22: "S390",
    40: "ARM",
    50: "IA-64",
    62: "x86-64",
    183: "AArch64",
    243: "RISC-V",
    258: "LoongArch",
}
HOST_MACHINES = {
    "x86_64": 62,
    "amd64": 62,
    "aarch64": 183,
    "arm64": 183,
    "ppc64le": 21,
    "riscv64": 243,
    "loongarch64": 258,
}
COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ": "xz",
    b"\x04\x22\x4d\x18": "lz4",
    b"BZh": "bzip2",
}

# More than any kernel allows a process (vm.max_map_count), and still read in a moment.
MOST_SEGMENTS = 1 << 20
# Bytes of notes to read. More notes than that would only add details.
MOST_NOTES = 64 << 20

# Holes of a sparse file to look for. Beyond that all counts as data.
MOST_HOLES = 1 << 20
# Files that only memory has: shared anonymous memory, memfd_create(), shm_open(), shmget().
MEMORY_FILES = (b"/dev/zero", b"/memfd:", b"/dev/shm/", b"/SYSV")

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_NOTE = struct.Struct("<III")
_FILES_HEAD = struct.Struct("<QQ")
_FILE_ROW = struct.Struct("<QQQ")
_PROCESS = struct.Struct("<24xI")  # of struct elf_prpsinfo
_AUXILIARY = struct.Struct("<QQ")
_SIGNAL = struct.Struct("<12xH")  # of the same: the signal that stopped it
_THREAD = struct.Struct("<32xI76x")  # of struct elf_prstatus: the thread's number; then come the registers
# By machine: how many general registers the kernel lists, and which one is the stack pointer.
_REGISTERS = {62: (27, 19), 183: (34, 31)}
_SECTION_INFO_OFFSET = 44
_GIVE = "Give a core written by the kernel or by gcore, or a snapshot file"


class CoreError(Exception):
    """A file is no core, or no usable core: str() tells the user what, why and what to do."""


Identity = Tuple[int, int, int, int]  # of a file's content: device, inode, size, time of the last change


class FileBytes:
    """The bytes of one file, even after its name means another file. Raises OSError if it cannot be opened. Later
    errors count as the end of the file."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb", buffering=0)
        self.identity = self._look()
        self.size = self.identity[2]

    def read(self, offset: int, length: int) -> bytes:
        data = bytearray(max(0, min(length, self.size - offset)))
        return bytes(data[: self.read_into(offset, data)]) if data else b""

    def read_into(self, offset: int, buffer: bytearray | memoryview) -> int:
        """Fill the beginning of the buffer, and return its length; 0 is the end or an error."""
        try:
            return os.preadv(self._file.fileno(), [buffer], offset)
        except OSError:
            return 0

    def count_data(self, ranges: Iterable[Tuple[int, int]]) -> int:
        """How many bytes of these ranges of the file are not in holes."""
        total, steps = 0, 0
        for at, end in ranges:
            while at < end:
                steps += 1
                begin, at = self._next_data(at, end) if steps < MOST_HOLES else (at, end)
                total += at - begin
        return total

    def _next_data(self, at: int, end: int) -> Tuple[int, int]:
        """The first range of data in this range."""
        try:
            begin = os.lseek(self._file.fileno(), at, os.SEEK_DATA)
            hole = os.lseek(self._file.fileno(), begin, os.SEEK_HOLE)
        except OSError as error:
            # ENXIO: only a hole is left. Anything else: this system does not know holes.
            return (end, end) if error.errno == errno.ENXIO else (at, end)
        if not at <= begin < end:
            return end, end
        return begin, max(begin + 1, min(end, hole))

    def is_changed(self) -> bool:
        """Whether the file was written to since it was opened."""
        return self._look() != self.identity

    def is_same_file(self) -> bool:
        """Whether it is no other file's content that was put in its place."""
        return self._look()[:2] == self.identity[:2]

    def grow(self) -> bool:
        """Whether the file has another size now, which counts from now on."""
        before, self.identity = self.size, self._look()
        self.size = self.identity[2]
        return self.size != before

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        self._file.close()

    def _look(self) -> Identity:
        status = os.fstat(self._file.fileno())
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


class Segment:
    """A range [start, end) of the dumped process. The file holds [start, held_end) of it, from `offset` on. It would
    hold up to `file_end` if it were not truncated. `is_file`: the range was mapped from a file. `is_memory`: this file
    is one that only memory has, such as shared memory."""

    __slots__ = ("start", "end", "held_end", "file_end", "offset", "readable", "writable", "is_file", "is_memory")

    def __init__(self, start: int, end: int, held_end: int, file_end: int, offset: int, flags: int) -> None:
        self.start = start
        self.end = end
        self.held_end = held_end
        self.file_end = file_end
        self.offset = offset
        self.readable = bool(flags & PF_READ)
        self.writable = bool(flags & PF_WRITE)
        self.is_file = False
        self.is_memory = False


class ProgramHeader(NamedTuple):
    """An entry of the file's program header table, as ELF has it."""

    kind: int
    flags: int
    offset: int
    address: int
    physical_address: int
    file_size: int
    memory_size: int
    alignment: int


class FileRange(NamedTuple):
    """A range of the process's memory that was mapped from a file, from this offset on."""

    start: int
    end: int
    offset: int
    path: bytes


class CoreFile:
    """One core file, which stays open as `bytes`. Reads the headers at once. Raises CoreError. A context manager, or
    close() it. `path` is its name; `source` is the file to open if it is not `path`.

    `segments` are in ascending order. `missing` is the number of bytes of memory that a truncated file lacks.
    `own_note` is the type and the bytes of tracemortem's own note, or (0, b""): then it is a recorder's file or a saved
    table. `table` is the recorder's file that has what the core lacks of the table (recorder_file.py), `table_path` the
    name that it had, `table_why` why it cannot be used. `process` is the process's id as the process saw it, or 0. `program_name` is the address of the name by which the
    program was started, or 0: the environment that it started with ends there. `files` is what was mapped from files,
    in ascending order; `threads` are (number, registers, which of them is the stack pointer).
    """

    def __init__(self, path: str, source: str | None = None) -> None:
        self.path = path
        self.own_note: Tuple[int, bytes] = (0, b"")
        self.table: CoreFile | None = None
        self.table_path, self.table_why = b"", ""
        self.process = 0
        self.signal = 0  # that stopped the first thread
        self.program_name = 0
        self.files: List[FileRange] = []
        self.threads: List[Tuple[int, Tuple[int, ...], int]] = []
        self.module_files: Any = None  # opened with it and closed with it: module_files.py
        self._private_bytes: int | None = None
        try:
            _require_regular(source or path)
            self.bytes = FileBytes(source or path)
        except OSError as error:
            raise CoreError("cannot open the core file %s: %s" % (printable(path), error.strerror or error)) from None
        self._read()

    def _read(self) -> None:
        """Read the headers and the notes."""
        notes: List[Note] = []
        notes_left = MOST_NOTES
        self.missing = 0
        self.segments: List[Segment] = []
        self.machine, headers = _read_headers(self.bytes, self.path)
        for header in headers:
            if header.kind == PT_LOAD:
                self._add(header)
            elif header.kind == PT_NOTE:
                data = self.bytes.read(header.offset, min(header.file_size, notes_left))
                notes_left -= len(data)
                notes += _parse_notes(data)
        self.segments.sort(key=lambda segment: segment.start)
        self._segment_starts = [segment.start for segment in self.segments]
        self._starts, self._ends = _joined(self.segments)
        self._learn(notes)

    def refresh(self) -> bool:
        """Read the headers again if the file has grown, as a recorder's does. False: it has not."""
        if not self.bytes.grow():
            return False
        self.files, self.threads = [], []
        try:
            self._read()
        except CoreError:
            return False
        return True

    def read_own_note(self, offset: int) -> None:
        """Read tracemortem's own note again, which is among the notes at this offset of the file."""
        self._take_own(_parse_notes(self.bytes.read(offset, 8192)))

    def _take_own(self, notes: Iterable[Note]) -> None:
        own = next((note for note in notes if note[0] < 0), None)
        if own:
            self.own_note = (-own[0], own[1][:256])

    def close(self) -> None:
        if self.table:
            self.table.close()
        if self.module_files:
            self.module_files.close()
        self.bytes.close()

    def __enter__(self) -> CoreFile:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _add(self, header: ProgramHeader) -> None:
        held = min(header.file_size, max(0, self.bytes.size - header.offset))
        self.missing += header.file_size - held
        start = header.address
        end = min(start + max(header.memory_size, header.file_size), 1 << 64)
        held_end, file_end = min(start + held, end), min(start + header.file_size, end)
        self.segments.append(Segment(start, end, held_end, file_end, header.offset, header.flags))

    def _learn(self, notes: Iterable[Note]) -> None:
        files: List[FileRange] = []
        notes = list(notes)
        self._take_own(notes)
        for kind, data in notes:
            if kind == NT_PRPSINFO and len(data) >= _PROCESS.size:
                self.process = _PROCESS.unpack_from(data)[0]
            elif kind == NT_PRSTATUS:
                if not self.threads and len(data) >= _SIGNAL.size:
                    self.signal = _SIGNAL.unpack_from(data)[0]
                self.threads += _threads(self.machine, data)
            elif kind == NT_FILE:
                files += _file_ranges(data)
            elif kind == NT_AUXV:
                entries = _AUXILIARY.iter_unpack(data[: len(data) - len(data) % _AUXILIARY.size])
                self.program_name = next((value for key, value in entries if key == AT_EXECFN), 0)
        files.sort()
        self.files = files
        starts = [file.start for file in files]
        for segment in self.segments:
            index = bisect.bisect_right(starts, segment.start) - 1
            segment.is_file = index >= 0 and segment.start < files[index].end
            segment.is_memory = segment.is_file and files[index].path.startswith(MEMORY_FILES)

    def private_bytes(self) -> int:
        """How much memory the file holds that was no part of a file. Holes of a sparse file do not count: the kernel
        leaves out pages that were never used."""
        if self._private_bytes is None:
            parts = [segment for segment in self.segments if segment.writable]
            parts = [segment for segment in parts if segment.is_memory or not segment.is_file]
            self._private_bytes = self.bytes.count_data(
                (segment.offset, segment.offset + segment.held_end - segment.start) for segment in parts
            )
        return self._private_bytes

    def holds(self, address: int, length: int) -> bool:
        """Whether the file holds all these bytes of the process."""
        index = bisect.bisect_right(self._starts, address) - 1
        return index >= 0 and address + length <= self._ends[index]

    def read(self, address: int, length: int) -> bytes:
        """These bytes of the process; fewer if the file does not hold them."""
        data = b""
        while len(data) < length:
            segment = self.segment_at(address + len(data))
            if segment is None:
                break
            offset = segment.offset + address + len(data) - segment.start
            part = self.bytes.read(offset, min(length - len(data), segment.held_end - address - len(data)))
            if not part:
                break
            data += part
        return data

    def segment_with(self, address: int) -> Segment | None:
        """The Segment with this byte, whether the file holds the byte or not; None if the process had no such memory."""
        index = bisect.bisect_right(self._segment_starts, address) - 1
        return self.segments[index] if index >= 0 and address < self.segments[index].end else None

    def next_held(self, address: int, end: int) -> int:
        """Where the first Segment begins that is above this address, but `end` at most."""
        index = bisect.bisect_right(self._segment_starts, address)
        return min(end, self._segment_starts[index]) if index < len(self._segment_starts) else end

    def segment_at(self, address: int) -> Segment | None:
        """The Segment with this byte, or None if the file does not hold the byte."""
        index = bisect.bisect_right(self._segment_starts, address) - 1
        return self.segments[index] if index >= 0 and address < self.segments[index].held_end else None

    def why_missing(self, address: int) -> str:
        """Why the file does not hold this byte, or the bytes after it, in a few words."""
        index = bisect.bisect_right(self._segment_starts, address) - 1
        segment = self.segments[index] if index >= 0 and address < self.segments[index].end else None
        if segment and segment.held_end < segment.file_end and address < segment.file_end:
            return "the %s is cut short, %d bytes of memory are missing from its end" % (self._what(), self.missing)
        if segment:
            return "left out when the core was written, perhaps by coredump_filter"
        return "the core file has no such memory, it was not mapped or is left out"

    def warning(self) -> str | None:
        """A line for the user if the file is truncated, else None."""
        if not self.missing:
            return None
        return "the %s %s is truncated: %d bytes of memory are missing from its end" % (
            self._what(),
            printable(self.path),
            self.missing,
        )

    def _what(self) -> str:
        return "recorder's file" if self.own_note[0] == 1 else "core file"

    def require_machine(self, machine: int | None) -> None:
        """Raise CoreError if this is not a core of the machine with this ELF number. None accepts any machine."""
        if machine is not None and self.machine != machine:
            raise CoreError(
                "the core file %s is of another architecture: %s, not %s\nCompare it in a debugger for that machine,"
                " with one of the cores as the debugger's own" % (self.path, _machine(self.machine), _machine(machine))
            )


Note = Tuple[int, bytes]  # type, data; the type of tracemortem's own is negative


def host_machine() -> int | None:
    """The ELF number of the machine this runs on, or None."""
    return HOST_MACHINES.get(platform.machine().lower())


def _machine(number: int) -> str:
    return MACHINES.get(number, "machine %d" % number)


def printable(path: str) -> str:
    """A file's name, with escapes for bytes that are not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _require_regular(path: str) -> None:
    mode = os.stat(path).st_mode  # opening a pipe would wait
    if stat.S_ISDIR(mode):
        raise CoreError("%s is a directory, not a core file" % printable(path))
    if not stat.S_ISREG(mode):
        raise CoreError("%s is not a regular file, so not a core file" % printable(path))


def _read_headers(file: FileBytes, path: str) -> Tuple[int, Iterator[ProgramHeader]]:
    """The machine's number, and the program headers that the file holds."""
    path = printable(path)
    data = file.read(0, _HEADER.size)
    _require_elf(path, data)
    if len(data) < _HEADER.size:
        raise CoreError("%s is not a usable core file: it ends inside its ELF header" % path)
    _, kind, machine, _, _, offset, sections, _, _, entry_size, count, section_size, _, _ = _HEADER.unpack(data)
    if kind != ET_CORE:
        found = KINDS.get(kind, "an ELF file of another kind")
        raise CoreError("%s is %s, not a core file\n%s" % (path, found, _GIVE))
    if count == PN_XNUM:
        count = _extended_count(file, sections, section_size)
    if count and entry_size != _SEGMENT.size:
        raise CoreError(
            "%s is not a usable core file: its program headers have %d bytes, not %d"
            % (path, entry_size, _SEGMENT.size)
        )
    count = min(count, MOST_SEGMENTS, max(0, file.size - offset) // _SEGMENT.size)
    if not count:
        raise CoreError("%s is not a usable core file: it has no program headers, or ends before them" % path)
    data = file.read(offset, count * _SEGMENT.size)
    entries = _SEGMENT.iter_unpack(data[: len(data) - len(data) % _SEGMENT.size])
    return machine, (ProgramHeader._make(entry) for entry in entries)


def _require_elf(path: str, data: bytes) -> None:
    if not data:
        raise CoreError("%s is empty, so not a core file" % path)
    if not data.startswith(ELF_MAGIC):
        for magic, program in COMPRESSIONS.items():
            if data.startswith(magic):
                raise CoreError(
                    "%s is compressed by %s, and no debugger can read it\nDecompress it: %s -d < %s > NEW-FILE\nIf it"
                    " is systemd-coredump's: coredumpctl dump PID -o NEW-FILE" % (path, program, program, path)
                )
        raise CoreError("%s is not a core file: it does not begin as an ELF file does\n%s" % (path, _GIVE))
    word_size, byte_order = data[4:5], data[5:6]
    other = "the core file %s is of another architecture: %s; only %s cores can be read"
    if word_size == b"\x01":
        raise CoreError(other % (path, "32-bit", "64-bit"))
    if byte_order == b"\x02":
        raise CoreError(other % (path, "big-endian", "little-endian"))


def _extended_count(file: FileBytes, sections: int, section_size: int) -> int:
    if section_size < _SECTION_INFO_OFFSET + 4:
        return PN_XNUM
    data = file.read(sections + _SECTION_INFO_OFFSET, 4)
    return int.from_bytes(data, "little") if len(data) == 4 else PN_XNUM


def _parse_notes(data: bytes) -> Iterator[Note]:
    """The notes in a part of the file, up to one that is incomplete."""
    at = 0
    while at + _NOTE.size <= len(data):
        name_size, data_size, kind = _NOTE.unpack_from(data, at)
        begin = at + _NOTE.size + (name_size + 3) // 4 * 4
        if begin + data_size > len(data):
            return
        if data[at + _NOTE.size : at + _NOTE.size + name_size] == OWN_NOTE:
            yield -kind, data[begin : begin + data_size]
        elif kind in (NT_PRSTATUS, NT_PRPSINFO, NT_AUXV, NT_FILE):
            yield kind, data[begin : begin + data_size]
        at = begin + (data_size + 3) // 4 * 4


def _file_ranges(data: bytes) -> List[FileRange]:
    """The mappings that an NT_FILE note lists."""
    if len(data) < _FILES_HEAD.size:
        return []
    count, page = _FILES_HEAD.unpack_from(data)
    count = min(count, (len(data) - _FILES_HEAD.size) // _FILE_ROW.size)
    rows_end = _FILES_HEAD.size + count * _FILE_ROW.size
    rows = _FILE_ROW.iter_unpack(data[_FILES_HEAD.size : rows_end])
    names = data[rows_end:].split(b"\0", count) + [b""] * count
    return [FileRange(start, end, offset * page, name) for (start, end, offset), name in zip(rows, names)]


def _threads(machine: int, data: bytes) -> Iterator[Tuple[int, Tuple[int, ...], int]]:
    """The thread that an NT_PRSTATUS note describes; nothing for a machine whose registers are not known."""
    count, stack_pointer = _REGISTERS.get(machine, (0, 0))
    if count and len(data) >= _THREAD.size + 8 * count:
        yield _THREAD.unpack_from(data)[0], struct.unpack_from("<%dQ" % count, data, _THREAD.size), stack_pointer


def _joined(segments: Iterable[Segment]) -> Tuple[List[int], List[int]]:
    """The starts and ends of the ranges that the file holds; adjacent segments make one range."""
    starts: List[int] = []
    ends: List[int] = []
    for segment in segments:
        if segment.held_end <= segment.start:
            continue
        if ends and segment.start <= ends[-1]:
            ends[-1] = max(ends[-1], segment.held_end)
        else:
            starts.append(segment.start)
            ends.append(segment.held_end)
    return starts, ends

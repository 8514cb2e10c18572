"""What an ELF core file says of itself: what it is a core of, and which memory it really holds.

Debuggers differ where a core holds less than it names: one reads zeros, one reads short, one fails. So what a core holds
is found out here. Reads the headers and the notes of the file and nothing else of it; knows no debugger and no trace
table.
"""

import bisect
import os
import platform
import stat
import struct

ELF_MAGIC = b"\x7fELF"
ET_CORE = 4
PT_LOAD = 1
PT_NOTE = 4
NT_PRPSINFO = 3
NT_FILE = 0x46494C45
PF_WRITE = 2
PF_READ = 4
PN_XNUM = 0xFFFF  # the number of program headers stands in section header 0

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
# Bytes: so many notes of threads and mappings are read; what comes after them only tells less.
MOST_NOTES = 64 << 20

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_NOTE = struct.Struct("<III")
_FILES_HEAD = struct.Struct("<QQ")
_FILE_ROW = struct.Struct("<QQQ")
_PROCESS = struct.Struct("<24xI")  # of struct elf_prpsinfo
_SECTION_INFO_OFFSET = 44
_GIVE = "Give a core written by the kernel or by gcore, or a snapshot file"


class CoreError(Exception):
    """A file which is no core, or none that can be used: str() tells the user what, why and what to do."""


class FileBytes:
    """The bytes of one file, whatever its name comes to mean. Raises OSError where it cannot be opened, but then reads what
    is there."""

    def __init__(self, path):
        self._file = open(path, "rb", buffering=0)
        self.identity = self._look()
        self.size = self.identity[2]

    def read(self, offset, length):
        data = bytearray(max(0, min(length, self.size - offset)))
        return bytes(data[: self.read_into(offset, data)]) if data else b""

    def read_into(self, offset, buffer):
        """Fill a part of the buffer, and return how much; 0 is the end or an error."""
        try:
            return os.preadv(self._file.fileno(), [buffer], offset)
        except OSError:
            return 0

    def is_changed(self):
        """Whether the file is no longer what was opened: it was written to."""
        return self._look() != self.identity

    def fileno(self):
        return self._file.fileno()

    def close(self):
        self._file.close()

    def _look(self):
        status = os.fstat(self._file.fileno())
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


class Segment:
    """A range [start, end) of the dumped process; the file holds [start, held_end) of it, from `offset` on, and would
    hold more, up to `told_end`, had it not been cut short. `is_file`: it was mapped from a file."""

    __slots__ = ("start", "end", "held_end", "told_end", "offset", "readable", "writable", "is_file")

    def __init__(self, start, end, held_end, told_end, offset, flags):
        self.start = start
        self.end = end
        self.held_end = held_end
        self.told_end = told_end
        self.offset = offset
        self.readable = bool(flags & PF_READ)
        self.writable = bool(flags & PF_WRITE)
        self.is_file = False


class CoreFile:
    """One core, held open as `bytes`; its headers are read when it is made. Raises CoreError. `path` is its name, and
    `source` what to open if that is something else. A context manager, or close() it.

    `segments` stand in ascending order. `missing` is how many bytes of memory the file should hold and does not,
    because it ends too early. `process` is the id of the process, as it saw itself, or 0.
    """

    def __init__(self, path, source=None):
        self.path = path
        self.missing = 0
        self.process = 0
        self.segments = []
        notes, notes_left = [], MOST_NOTES
        try:
            _require_regular(source or path)
            self.bytes = FileBytes(source or path)
        except OSError as error:
            raise CoreError("cannot open the core file %s: %s" % (shown(path), error.strerror or error)) from None
        self.machine, segments = _read_headers(self.bytes, path)
        for kind, flags, offset, start, _, file_size, memory_size, _ in segments:
            if kind == PT_LOAD:
                self._add(start, memory_size, flags, offset, file_size, self.bytes.size)
            elif kind == PT_NOTE:
                data = self.bytes.read(offset, min(file_size, notes_left))
                notes_left -= len(data)
                notes += _parse_notes(data)
        self.segments.sort(key=lambda segment: segment.start)
        self._segment_starts = [segment.start for segment in self.segments]
        self._starts, self._ends = _joined(self.segments)
        self._learn(notes)

    def close(self):
        self.bytes.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _add(self, start, memory_size, flags, offset, file_size, size):
        here = min(file_size, max(0, size - offset))
        self.missing += file_size - here
        end = min(start + max(memory_size, file_size), 1 << 64)
        self.segments.append(Segment(start, end, min(start + here, end), min(start + file_size, end), offset, flags))

    def _learn(self, notes):
        files = []
        for kind, data in notes:
            if kind == NT_PRPSINFO and len(data) >= _PROCESS.size:
                self.process = _PROCESS.unpack_from(data)[0]
            elif kind == NT_FILE:
                files += _file_ranges(data)
        files.sort()
        starts = [start for start, _ in files]
        for segment in self.segments:
            index = bisect.bisect_right(starts, segment.start) - 1
            segment.is_file = index >= 0 and segment.start < files[index][1]

    def holds(self, address, length):
        """Whether each of these bytes of the process is in the file."""
        index = bisect.bisect_right(self._starts, address) - 1
        return index >= 0 and address + length <= self._ends[index]

    def segment_at(self, address):
        """The Segment of which the file holds this byte, or None."""
        index = bisect.bisect_right(self._segment_starts, address) - 1
        return self.segments[index] if index >= 0 and address < self.segments[index].held_end else None

    def why_missing(self, address):
        """Why the file does not hold this byte, or not all of what begins with it, in a few words."""
        index = bisect.bisect_right(self._segment_starts, address) - 1
        segment = self.segments[index] if index >= 0 and address < self.segments[index].end else None
        if segment and segment.held_end < segment.told_end and address < segment.told_end:
            return "the core file is cut short, %d bytes of memory are missing from its end" % self.missing
        if segment:
            return "left out when the core was written, perhaps by coredump_filter"
        return "the core file has no such memory, it was not mapped or is left out"

    def warning(self):
        """A line for the user if the file is cut short, else None."""
        if not self.missing:
            return None
        return "the core file %s is truncated: %d bytes of memory are missing from its end" % (
            shown(self.path),
            self.missing,
        )

    def require_machine(self, machine):
        """Raise CoreError if this is not a core of the machine with this ELF number; None: any will do."""
        if machine is not None and self.machine != machine:
            raise CoreError(
                "the core file %s is of another architecture: %s, not %s\nCompare it in a debugger for that machine,"
                " with one of the cores as the debugger's own" % (self.path, _machine(self.machine), _machine(machine))
            )


def host_machine():
    """The ELF number of the machine this runs on, or None."""
    return HOST_MACHINES.get(platform.machine().lower())


def _machine(number):
    return MACHINES.get(number, "machine %d" % number)


def shown(path):
    """A file's name as it can be printed, whatever bytes it has."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _require_regular(path):
    mode = os.stat(path).st_mode  # before it is opened: a pipe would wait
    if stat.S_ISDIR(mode):
        raise CoreError("%s is a directory, not a core file" % shown(path))
    if not stat.S_ISREG(mode):
        raise CoreError("%s is not a regular file, so not a core file" % shown(path))


def _read_headers(file, path):
    """The machine's number and the raw program headers, as many as are there."""
    path = shown(path)
    data = file.read(0, _HEADER.size)
    _require_elf(path, data)
    if len(data) < _HEADER.size:
        raise CoreError("%s is not a usable core file: it ends inside of its ELF header" % path)
    _, kind, machine, _, _, offset, sections, _, _, entry_size, count, section_size, _, _ = _HEADER.unpack(data)
    if kind != ET_CORE:
        kind = KINDS.get(kind, "an ELF file of another kind")
        raise CoreError("%s is %s, not a core file\n%s" % (path, kind, _GIVE))
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
    return machine, _SEGMENT.iter_unpack(data[: len(data) - len(data) % _SEGMENT.size])


def _require_elf(path, data):
    if not data:
        raise CoreError("%s is empty, so not a core file" % path)
    if not data.startswith(ELF_MAGIC):
        for magic, program in COMPRESSIONS.items():
            if data.startswith(magic):
                raise CoreError(
                    "%s is compressed by %s, and no debugger reads it so\nDecompress it: %s -d < %s > NEW-FILE\nOne of"
                    " systemd-coredump: coredumpctl dump PID -o NEW-FILE" % (path, program, program, path)
                )
        raise CoreError("%s is not a core file: it does not begin as an ELF file does\n%s" % (path, _GIVE))
    word_size, byte_order = data[4:5], data[5:6]
    other = "the core file %s is of another architecture: %s; only %s cores can be read"
    if word_size == b"\x01":
        raise CoreError(other % (path, "32-bit", "64-bit"))
    if byte_order == b"\x02":
        raise CoreError(other % (path, "big-endian", "little-endian"))


def _extended_count(file, sections, section_size):
    if section_size < _SECTION_INFO_OFFSET + 4:
        return PN_XNUM
    data = file.read(sections + _SECTION_INFO_OFFSET, 4)
    return struct.unpack("<I", data)[0] if len(data) == 4 else PN_XNUM


def _parse_notes(data):
    """(type, data) of the notes in a part of the file, as far as it goes."""
    at = 0
    while at + _NOTE.size <= len(data):
        name_size, data_size, kind = _NOTE.unpack_from(data, at)
        begin = at + _NOTE.size + (name_size + 3) // 4 * 4
        if begin + data_size > len(data):
            return
        if kind in (NT_PRPSINFO, NT_FILE):
            yield kind, data[begin : begin + data_size]
        at = begin + (data_size + 3) // 4 * 4


def _file_ranges(data):
    """(start, end) of the mappings which an NT_FILE note lists."""
    if len(data) < _FILES_HEAD.size:
        return []
    count = min(_FILES_HEAD.unpack_from(data)[0], (len(data) - _FILES_HEAD.size) // _FILE_ROW.size)
    rows = data[_FILES_HEAD.size : _FILES_HEAD.size + count * _FILE_ROW.size]
    return [(start, end) for start, end, _ in _FILE_ROW.iter_unpack(rows)]


def _joined(segments):
    """The starts and ends of what is held; ranges which touch are one."""
    starts, ends = [], []
    for segment in segments:
        if segment.held_end <= segment.start:
            continue
        if ends and segment.start <= ends[-1]:
            ends[-1] = max(ends[-1], segment.held_end)
        else:
            starts.append(segment.start)
            ends.append(segment.held_end)
    return starts, ends

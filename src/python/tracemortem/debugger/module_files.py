"""Memory that a core leaves out because a file has it: read-only parts of programs and libraries.

By default neither the kernel nor gcore dumps pages of a file that the process could not write: the names of CPython's own
types are there, for example. The file that was mapped may still be here. Its bytes count only if its build id and its
program headers are those in the core, and only where the file itself says that the process could not write. This module
knows ELF files and no debugger.
"""

from __future__ import annotations

import bisect
import os
import stat
import struct
from typing import Callable, Dict, Iterator, List, Tuple

from .core_file import ELF_MAGIC, PF_WRITE, PT_LOAD, PT_NOTE, CoreFile, FileBytes, ProgramHeader, printable

NT_GNU_BUILD_ID = 3
PAGE = 4096
MOST_HEADERS = 64
MOST_NOTES = 4096  # bytes

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_NOTE = struct.Struct("<III")


class ModuleFiles:
    """The files that a core's process had mapped, as far as they are here and the same."""

    def __init__(self, core: CoreFile) -> None:
        self._core = core
        self._starts = [file.start for file in core.files]
        self._modules: Dict[bytes, _ModuleFile] = {}

    def close(self) -> None:
        for module in self._modules.values():
            module.close()
        self._modules.clear()

    def read_into(self, address: int, buffer: memoryview) -> int:
        """Fill the beginning of the buffer, and return its length; 0: no file is known to have this byte."""
        index = bisect.bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._core.files[index].end:
            return 0
        row = self._core.files[index]
        segment = self._core.segment_with(address)  # gcore lists none where it dumps nothing
        if segment is not None and segment.writable:
            return 0
        end = self._core.next_held(address, row.end)
        return self._module(row.path).read_into(address, row.offset + address - row.start, buffer[: end - address])

    def why_missing(self, address: int) -> str:
        """Why no file has this byte, or "" if nothing is known."""
        index = bisect.bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._core.files[index].end:
            return ""
        return self._module(self._core.files[index].path).why

    def _module(self, path: bytes) -> _ModuleFile:
        if path not in self._modules:
            self._modules[path] = _ModuleFile(self._core, path)
        return self._modules[path]


class _ModuleFile:
    """One file; `why` says why it cannot be used, or is empty."""

    def __init__(self, core: CoreFile, path: bytes) -> None:
        self.why = ""
        self._file: FileBytes | None = None
        self._constant: List[Tuple[int, int]] = []  # ranges of memory that the process could not write
        name = os.fsdecode(path)
        try:
            if not stat.S_ISREG(os.stat(name).st_mode):  # opening a device or a pipe could do harm
                return
            file = FileBytes(name)
        except OSError:
            self.why = "left out of the core, and the file that was mapped there is not here: %s" % printable(name)
            return
        base = next((row.start for row in core.files if row.path == path and row.offset == 0), 0)
        ours = _identity(file.read)
        theirs = _identity(lambda offset, length: core.read(base + offset, length)) if base else None
        if ours is None or theirs is None or ours != theirs:
            different = ours is not None and theirs is not None
            self.why = "left out of the core, and %s here %s the file that was mapped there" % (
                printable(name),
                "is not" if different else "cannot be compared with",
            )
            file.close()
            return
        self._file = file
        bias = base - ours[1][0].address // PAGE * PAGE
        self._constant = [_pages(bias, header) for header in ours[1] if not header.flags & PF_WRITE]

    def close(self) -> None:
        if self._file:
            self._file.close()

    def read_into(self, address: int, offset: int, buffer: memoryview) -> int:
        if self._file is None or self._file.is_changed():
            return 0
        for begin, end in self._constant:
            if begin <= address < end:
                return self._file.read_into(offset, buffer[: end - address])
        return 0


def _pages(bias: int, header: ProgramHeader) -> Tuple[int, int]:
    """The range of memory in which a segment's part of the file is mapped."""
    start = bias + header.address
    return start // PAGE * PAGE, -(-(start + header.file_size) // PAGE) * PAGE


Identity = Tuple[bytes, List[ProgramHeader]]  # the build id, and the segments to load


def _identity(read: Callable[[int, int], bytes]) -> Identity | None:
    """What an ELF file is, which begins where `read(offset, length)` reads; None if it has no build id."""
    data = read(0, _HEADER.size)
    if len(data) < _HEADER.size or not data.startswith(ELF_MAGIC + b"\x02\x01"):
        return None
    _, _, _, _, _, offset, _, _, _, entry_size, count, _, _, _ = _HEADER.unpack(data)
    if entry_size != _SEGMENT.size or not 0 < count <= MOST_HEADERS:
        return None
    data = read(offset, count * _SEGMENT.size)
    if len(data) < count * _SEGMENT.size:
        return None
    headers = [ProgramHeader._make(entry) for entry in _SEGMENT.iter_unpack(data)]
    for header in headers:
        if header.kind == PT_NOTE:
            notes = read(header.offset, min(header.file_size, MOST_NOTES))
            for build_id in _build_ids(notes):
                return build_id, [header for header in headers if header.kind == PT_LOAD]
    return None


def _build_ids(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + _NOTE.size <= len(data):
        name_size, data_size, kind = _NOTE.unpack_from(data, at)
        begin = at + _NOTE.size + (name_size + 3) // 4 * 4
        if begin + data_size > len(data):
            return
        if kind == NT_GNU_BUILD_ID and data[at + _NOTE.size :].startswith(b"GNU\0") and data_size >= 8:
            yield data[begin : begin + data_size]
        at = begin + (data_size + 3) // 4 * 4

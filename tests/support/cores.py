"""Makes damaged copies of ELF core files: without segments, pages or notes, or without their end.

    core = cores.Core(path)
    core.write(other, segments=[...])          # the same bytes with other program headers
    cores.cut(path, other, 0.5)                # the first half of the file

This module knows ELF and nothing of traces. The copies are sparse and share no storage with the original.
"""

import collections
import os
import shutil
import struct

PT_LOAD, PT_NOTE = 1, 4
PF_WRITE = 2
NT_FILE, NT_PRPSINFO = 0x46494C45, 3
PAGE = 4096

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_NOTE = struct.Struct("<III")

Segment = collections.namedtuple("Segment", "type flags offset start physical held size align")
Segment.__doc__ = "A program header; `held` bytes are in the file, `size` in memory."

Note = collections.namedtuple("Note", "type name data offset")
Note.__doc__ = "A note; `offset` is where its data is in the file."


class Core:
    """An undamaged core file of a 64-bit little-endian machine, from the kernel or from gdb."""

    def __init__(self, path):
        self.path = str(path)
        with open(self.path, "rb") as file:
            self._header = list(_HEADER.unpack(file.read(_HEADER.size)))
            offset, count = self._header[5], self._header[10]
            assert count != 0xFFFF, "more segments than this can count"
            file.seek(offset)
            self.segments = [Segment(*entry) for entry in _SEGMENT.iter_unpack(file.read(count * _SEGMENT.size))]

    def loads(self):
        return [segment for segment in self.segments if segment.type == PT_LOAD]

    def bytes_of(self, segment):
        with open(self.path, "rb") as file:
            file.seek(segment.offset)
            return file.read(segment.held)

    def read(self, address, length):
        """Memory of the process, which the file must hold."""
        for segment in self.loads():
            if segment.start <= address and address + length <= segment.start + segment.held:
                with open(self.path, "rb") as file:
                    file.seek(segment.offset + address - segment.start)
                    return file.read(length)
        raise AssertionError("%#x is not in the core" % address)

    def notes(self):
        for segment in self.segments:
            if segment.type != PT_NOTE:
                continue
            data, at = self.bytes_of(segment), 0
            while at + _NOTE.size <= len(data):
                name_size, size, kind = _NOTE.unpack_from(data, at)
                start = at + _NOTE.size + (name_size + 3) // 4 * 4
                name = data[at + _NOTE.size : at + _NOTE.size + name_size].rstrip(b"\0")
                yield Note(kind, name, data[start : start + size], segment.offset + start)
                at = start + (size + 3) // 4 * 4

    def files(self):
        """[(start, end, file offset in bytes, path)] of NT_FILE."""
        for note in self.notes():
            if note.type == NT_FILE:
                count, page = struct.unpack_from("<QQ", note.data)
                rows = struct.iter_unpack("<QQQ", note.data[16 : 16 + 24 * count])
                names = note.data[16 + 24 * count :].split(b"\0")
                return [(start, end, at * page, os.fsdecode(name)) for (start, end, at), name in zip(rows, names)]
        return []

    def is_file(self, segment):
        """Whether a part of this segment is mapped from a file, as NT_FILE says."""
        return any(start < segment.start + segment.size and segment.start < end for start, end, _, _ in self.files())

    def write(self, path, segments):
        """A copy with these program headers instead of its own."""
        copy(self.path, path)
        header = list(self._header)
        with open(path, "r+b") as file:
            if len(segments) > len(self.segments):
                header[5] = file.seek(0, os.SEEK_END)
            header[10] = len(segments)
            file.seek(0)
            file.write(_HEADER.pack(*header))
            file.seek(header[5])
            file.writelines(_SEGMENT.pack(*segment) for segment in segments)
        return str(path)

    def without(self, path, unwanted, named=False):
        """A copy without the segments for which `unwanted(segment)` is true. With `named` their headers stay, without
        bytes, as the kernel does it."""
        kept = []
        for segment in self.segments:
            if segment.type != PT_LOAD or not unwanted(segment):
                kept.append(segment)
            elif named:
                kept.append(segment._replace(held=0))
        return self.write(path, kept)

    def without_pages(self, path, unwanted):
        """A copy without the pages for which `unwanted(address, bytes)` is true: segments are split around them."""
        segments = [segment for segment in self.segments if segment.type != PT_LOAD]
        for segment in self.loads():
            data = self.bytes_of(segment)
            begin = 0
            for at in list(range(0, len(data), PAGE)) + [len(data)]:
                if at < len(data) and not unwanted(segment.start + at, data[at : at + PAGE]):
                    continue
                if at > begin:
                    segments.append(_part(segment, begin, at))
                begin = at + PAGE
        return self.write(path, segments)

    def without_note(self, path, kind):
        """A copy whose notes of this type have an unknown type instead."""
        self.write(path, self.segments)
        with open(path, "r+b") as file:
            for note in self.notes():
                if note.type == kind:
                    file.seek(note.offset - (len(note.name) + 4) // 4 * 4 - 4)
                    file.write(struct.pack("<I", 0x7FFFFFFF))
        return str(path)


def _part(segment, begin, end):
    return segment._replace(
        offset=segment.offset + begin, start=segment.start + begin, held=end - begin, size=end - begin
    )


def cut(source, path, fraction):
    """The first part of a file."""
    copy(source, path)
    os.truncate(str(path), int(os.path.getsize(str(source)) * fraction))
    return str(path)


def copy(source, path):
    """A copy whose zero pages take no disk space."""
    with open(str(source), "rb") as original, open(str(path), "wb") as made:
        while True:
            data = original.read(1 << 20)
            if not data:
                break
            if data.count(0) == len(data):
                made.seek(len(data), os.SEEK_CUR)
            else:
                made.write(data)
        made.truncate()
    shutil.copymode(str(source), str(path))

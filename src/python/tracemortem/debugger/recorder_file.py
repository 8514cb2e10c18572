"""A recorder's file: what its note says, and whether its process lives; and the file that a core of a recorded process names.

The form of the file, and the order in which signs of life are looked at, are in src/layout/recorder_file.h. This module knows
no debugger and no trace table.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import struct
from typing import Iterator, NamedTuple, Tuple

from .core_file import CoreError, CoreFile, FileRange
from .header import Life

NOTE_TYPE, SAVED_NOTE_TYPE = 1, 2
VERSION, SAVED_VERSION = 1, 1
NOTES_OFFSET, LOCKED_BYTE = 4096, 0
SUFFIX = b".tm-core"
DELETED = b" (deleted)"
TRACER_NAME = b"_tracer"  # how the tracer's file is called, whatever version it is for
BEHIND = 1 << 20  # of the tracer's memory behind what is mapped from its file: variables that begin as zeros
_PIECE = 65536
_FLOCK = struct.Struct("hhqqi4x")  # struct flock of 64-bit Linux
_NOTE = struct.Struct("<IIIIQQ16s16sQQQIi")
_SAVED = struct.Struct("<IIIIQQQQ16sQ")


class RecorderNote(NamedTuple):
    """struct tm_recorder_note"""

    version: int
    size: int
    pid: int
    outer_pid: int
    start_ticks: int
    pid_namespace: int
    boot_id: bytes
    identity: bytes
    root: int
    made: int
    ended: int
    end: int
    status: int


class SavedNote(NamedTuple):
    """struct tm_saved_note"""

    version: int
    size: int
    pid: int
    private_kind: int
    private_bytes: int
    root: int
    moment: int
    saved: int
    identity: bytes
    missing: int


def recorder_note(core: CoreFile) -> RecorderNote | None:
    """The note, if this is a recorder's file of a version that can be read."""
    kind, data = core.own_note
    if kind != NOTE_TYPE or len(data) < _NOTE.size:
        return None
    note = RecorderNote._make(_NOTE.unpack_from(data))
    return note if note.version == VERSION else None


def saved_note(core: CoreFile) -> SavedNote | None:
    """The note, if this is a table that tm-save --core saved."""
    kind, data = core.own_note
    if kind != SAVED_NOTE_TYPE or len(data) < _SAVED.size:
        return None
    note = SavedNote._make(_SAVED.unpack_from(data))
    return note if note.version == SAVED_VERSION else None


# -- whether its process lives


def life(core: CoreFile) -> Life:
    """Whether the process lives that writes this recorder's file."""
    note = recorder_note(core)
    if note is None:
        return Life.UNKNOWN
    if note.end:
        return Life.ENDED
    if _is_locked(core.bytes.fileno()):
        return Life.LIVES
    if not _is_this_boot(note.boot_id):
        return Life.ENDED
    status = os.fstat(core.bytes.fileno())
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return Life.UNKNOWN
    if space == note.pid_namespace:
        return _life_of(note.pid, note.start_ticks, status)
    if _life_of(note.outer_pid, note.start_ticks, status) == Life.LIVES:
        return Life.LIVES
    return Life.LIVES if any(_maps_file(pid, status) for pid in _processes()) else Life.ENDED


def _is_locked(file: int) -> bool:
    """The lock of a process in another pid namespace is seen, too."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, LOCKED_BYTE, 1, 0)
    try:
        answer = _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except OSError:
        return False
    return bool(answer[0] != fcntl.F_UNLCK)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _is_this_boot(boot_id: bytes) -> bool:
    text = _read("/proc/sys/kernel/random/boot_id").decode("ascii", "replace").replace("-", "").strip()
    return bool(re.fullmatch("[0-9a-f]{32}", text)) and bytes.fromhex(text) == boot_id


def _processes() -> Iterator[int]:
    try:
        return (int(name) for name in os.listdir("/proc") if name.isdigit())
    except OSError:
        return iter(())


def _life_of(pid: int, start: int, status: os.stat_result) -> Life:
    """The process with this id, in this pid namespace."""
    fields = _read("/proc/%d/stat" % pid).rpartition(b")")[2].split()
    if not pid or not start or len(fields) < 20 or fields[19] != b"%d" % start:
        return Life.ENDED
    if fields[0] in (b"Z", b"X") and fields[17] == b"1":  # nothing but its exit status is left
        return Life.ENDED
    mapped = _maps_file(pid, status)
    return Life.UNKNOWN if mapped is None else Life.LIVES if mapped else Life.ENDED


def _maps_file(pid: int, status: os.stat_result) -> bool | None:
    """Whether the process has this file mapped; None if it does not let us see."""
    maps = _read("/proc/%d/maps" % pid)
    if not maps:
        return None
    device = b"%02x:%02x" % (os.major(status.st_dev), os.minor(status.st_dev))
    return re.search(rb"^\S+ \S+ \S+ %s %d\b" % (device, status.st_ino), maps, re.MULTILINE) is not None


# -- the file that a core names


def find_table(core: CoreFile) -> None:
    """Look for the recorder's file that this core names, where it was and then beside the core, and keep it open as
    `core.table` if it is that of the same process. Else `core.table_path` and `core.table_why` say what it is and why it
    cannot be used."""
    if core.own_note[0]:
        return
    known = set()
    for mapped in core.files:
        if mapped.path not in known and mapped.path.startswith(b"/") and not core.holds(mapped.start, 1):
            known.add(mapped.path)
            _try_named(core, mapped)
            if core.table:
                return


def _try_named(core: CoreFile, mapped: FileRange) -> None:
    path = mapped.path[: -len(DELETED)] if mapped.path.endswith(DELETED) else mapped.path
    beside = os.path.join(os.path.dirname(os.fsencode(core.path)), os.path.basename(path))
    for candidate in (path, beside):
        file = _open_recorder(candidate)
        if file is None:
            continue
        why = _why_not(core, file)
        if why is None:
            core.table = file
            return
        file.close()
        _say_why(core, path, why)
    if not core.table_why and path.endswith(SUFFIX):
        _say_why(core, path, "is not a recorder's file any more" if os.path.exists(path) else "is not here")


def _say_why(core: CoreFile, path: bytes, why: str) -> None:
    core.table_path = core.table_path or path
    core.table_why = why


def _open_recorder(path: bytes) -> CoreFile | None:
    """The recorder's file of this name, or None. Of any other file only the beginning is read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        with open(path, "rb") as file:
            head = file.read(18)
        if head[:4] != b"\x7fELF" or head[16:18] != b"\4\0":
            return None
        core = CoreFile(os.fsdecode(path))
    except (OSError, CoreError, ValueError):
        return None
    if recorder_note(core) is not None:
        return core
    core.close()
    return None


def _why_not(core: CoreFile, file: CoreFile) -> str | None:
    """None: the file is that of the process; else why not."""
    note = recorder_note(file)
    assert note is not None
    if core.process and note.pid and core.process != note.pid:
        return "is that of another process"
    if not _has_identity(core, note.identity):
        return "is not the one that the process had: their identities differ"
    return None


def _has_identity(core: CoreFile, identity: bytes) -> bool:
    """Whether the tracer in the core has this identity."""
    ranges = [file for file in core.files if os.path.basename(file.path).startswith(TRACER_NAME)]
    start = min((file.start for file in ranges), default=0)
    end = max((file.end for file in ranges), default=0)
    # A hostile core may name ranges without end.
    if start >= end or end - start > 64 * BEHIND or not any(identity):
        return False
    return any(identity in piece for piece in _held(core, start, end + BEHIND))


def _held(core: CoreFile, start: int, end: int) -> Iterator[bytes]:
    """What the core holds of this memory, in pieces that overlap by an identity's length."""
    while start < end:
        piece = core.read(start, min(_PIECE + 16, end - start))
        yield piece
        start += len(piece) - 15 if len(piece) > 16 else 4096 - start % 4096


def note_bytes(core: CoreFile) -> Tuple[int, bytes]:
    """The note of a recorder's file as it is now: it changes when the process ends."""
    core.read_own_note(NOTES_OFFSET)
    return core.own_note

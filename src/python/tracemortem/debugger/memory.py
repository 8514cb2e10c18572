"""Where a target's memory is: a core file, or a process on this host; and what is mapped in it.

What the debuggers do differently is made the same here: a core has the memory which its file holds and no other, and a
local process has the mappings which the kernel lists. Knows no debugger and no trace table.
"""

import os
import re

from .engine import ABSENT, FILE, READABLE, WRITABLE, Memory


class CoreMemory(Memory):
    """A core, read straight from its file.

    Also where a debugger has it open: gdb reads zeros where memory was not dumped. One which no debugger has is not
    opened in it for a comparison, for that leaves traces: gdb uses up a number for an inferior, announces switches which
    only gdb 13 can be kept from showing, and refuses a core of gcore which is cut short. `symbol` is the debugger's; without
    it no symbols are known, and the engine finds the table all the same.
    """

    def __init__(self, core, symbol=None):
        self._core = core
        self._symbol = symbol

    def symbol(self, name):
        return self._symbol(name) if self._symbol else 0

    def regions(self):
        found = []
        for segment in self._core.segments:
            flags = segment.readable * READABLE | segment.writable * WRITABLE | segment.is_file * FILE
            if segment.held_end > segment.start:
                found.append((segment.start, segment.held_end, flags, b""))
            if segment.end > segment.held_end:
                found.append((segment.held_end, segment.end, flags | ABSENT, b""))
        return found

    def why_missing(self, address):
        return self._core.why_missing(address)

    def process(self):
        return self._core.process

    def read(self, address, length):
        data = bytearray(length)
        return data if self.read_into(address, memoryview(data)) else None

    def read_into(self, address, buffer):
        if not self._core.holds(address, len(buffer)):
            return False
        while buffer:
            segment = self._core.segment_at(address)
            count = min(len(buffer), segment.held_end - address) if segment else 0
            done = count and self._core.bytes.read_into(segment.offset + address - segment.start, buffer[:count])
            if not done:
                return False
            address += done
            buffer = buffer[done:]
        return True


class LocalProcess:
    """A process on this host which this debugger has stopped. Use it while it is stopped, then close it."""

    def __init__(self, pid):
        self._pid = pid
        self._maps = "/proc/%d/maps" % pid
        self._path = "/proc/%d/mem" % pid
        self._file = None

    def read(self, address, length):
        """The bytes, or None where the kernel refuses; another way to them may exist."""
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            data = os.pread(self._file, length, address)
        except (OSError, OverflowError):
            return None
        return data if len(data) == length else None

    def regions(self):
        try:
            with open(self._maps, "rb") as file:
                return parse_maps(file.read())
        except OSError:
            return []

    def process(self):
        """The process's id as it sees itself, in its own namespace."""
        return int(_status(self._pid, rb"NSpid:.*\s(\d+)$") or self._pid)

    def file_root(self):
        """Before the names of its files, where its root directory is not ours: it may be in a container."""
        root = "/proc/%d/root" % self._pid
        try:
            return "" if os.path.samestat(os.stat(root), os.stat("/")) else root
        except OSError:
            return ""

    def is_running(self):
        """Whether the kernel says so: right after a "continue" a debugger may not have noticed itself."""
        return _status(self._pid, rb"State:\s*([RSD])") is not None

    def close(self):
        if self._file is not None:
            os.close(self._file)
            self._file = None


def local_process(pid):
    """The LocalProcess if the process with this number *on this host* is held by this debugger, else None.

    A process on another machine can have the number of one here. The one meant is traced by this very process, or by a
    server which is its child.
    """
    tracer = int(_status(pid, rb"TracerPid:\s*(\d+)") or 0)
    if tracer and os.getpid() in (tracer, int(_status(tracer, rb"PPid:\s*(\d+)") or 0)):
        return LocalProcess(pid)
    return None


def has_ended(pid):
    """Whether a process on this host is gone, or nothing but its exit status is left."""
    try:
        threads = os.listdir("/proc/%d/task" % pid)
    except (FileNotFoundError, ProcessLookupError):
        return os.path.isdir("/proc/self")
    except OSError:
        return False
    return all(_status("%d/task/%s" % (pid, thread), rb"State:\s*([ZX])") for thread in threads)


def _status(pid, pattern):
    """What the group of this pattern matches in a process's status, or None."""
    try:
        with open("/proc/%s/status" % pid, "rb") as file:
            match = re.search(b"^" + pattern, file.read(), re.MULTILINE)
    except OSError:
        return None
    return match.group(1) if match else None


_MAPS_LINE = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) (\S{4}) [0-9a-f]+ \S+ (\d+) *(.*)")


def parse_maps(data):
    """The regions which /proc/PID/maps lists."""
    regions = []
    for line in data.splitlines():
        match = _MAPS_LINE.fullmatch(line)
        if match:
            start, end, permissions, inode, name = match.groups()
            flags = _flags(permissions.decode("ascii", "replace"), inode != b"0")
            regions.append((int(start, 16), int(end, 16), flags, name))
    return regions


# Start, end, size and offset; then the permissions, which a gdb before 12 or an old remote lacks, and the name.
_GDB_LINE = re.compile(
    r"\s*0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+0x[0-9a-f]+\s+0x[0-9a-f]+(?:\s+([-r][-w][-x][-ps]))?(?:\s+(\S.*))?"
)


def parse_info_proc_mappings(text):
    """The regions which gdb's `info proc mappings` lists, for a process which is not on this host."""
    regions = []
    for line in text.splitlines():
        match = _GDB_LINE.fullmatch(line.rstrip())
        if match:
            start, end, permissions, name = match.groups()
            flags = _flags(permissions or "rw", bool(name) and name.startswith("/"))
            regions.append((int(start, 16), int(end, 16), flags, (name or "").encode("utf-8", "surrogateescape")))
    return regions


def _flags(permissions, is_file):
    return READABLE * ("r" in permissions) | WRITABLE * ("w" in permissions) | FILE * is_file

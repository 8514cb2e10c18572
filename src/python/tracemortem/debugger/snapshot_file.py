"""Snapshot files, as Snapshot.dump() of tracemalloc writes them: told from cores, read as bytes, and written whole or not
at all. What is in them is the engine's business: nothing is unpickled here.
"""

import os
import stat

from .engine import Memory

# Every pickle from protocol 2 on begins with the opcode PROTO, and no ELF file does.
PROTO = b"\x80"


class SnapshotError(Exception):
    """A file which cannot be read or written: str() tells the user what, why and what to do."""


def is_snapshot(path):
    """Whether this is a regular file which begins as a pickle does."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # before it is opened: a pipe would wait
            return False
        with open(path, "rb") as file:
            return file.read(1) == PROTO
    except (OSError, ValueError):
        return False


class SnapshotFile(Memory):
    """A snapshot file as the engine reads it: addresses are offsets below `size`. A context manager."""

    def __init__(self, path):
        self._path = path
        self.size = 0

    def __enter__(self):
        try:
            self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            self.size = os.fstat(self._file).st_size
        except OSError as error:
            raise SnapshotError("cannot open the snapshot %s: %s" % (self._path, error.strerror or error)) from None
        return self

    def __exit__(self, *_):
        os.close(self._file)

    def read(self, address, length):
        try:
            return os.pread(self._file, length, address)
        except (OSError, OverflowError):
            return None

"""Snapshot files, as tracemalloc's Snapshot.dump() writes them: recognized, and read as bytes.

The engine decodes them: nothing is unpickled here.
"""

from __future__ import annotations

import os
import stat
from typing import Any

from .engine import File

# Every pickle from protocol 2 on begins with the opcode PROTO, and no ELF file does.
PROTO = b"\x80"


class SnapshotError(Exception):
    """A snapshot file cannot be read: str() tells the user what, why and what to do."""


def is_snapshot(path: str) -> bool:
    """Whether this is a regular file that begins as a pickle does."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait
            return False
        with open(path, "rb") as file:
            return file.read(1) == PROTO
    except (OSError, ValueError):
        return False


class SnapshotFile(File):
    """A snapshot file as the engine reads it. A context manager."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> SnapshotFile:
        try:
            self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            self.size = os.fstat(self._file).st_size
        except OSError as error:
            raise SnapshotError("cannot open the snapshot %s: %s" % (self._path, error.strerror or error)) from None
        return self

    def __exit__(self, *_: Any) -> None:
        os.close(self._file)

    def read(self, address: int, length: int) -> bytes | None:
        try:
            return os.pread(self._file, length, address)
        except (OSError, OverflowError):
            return None

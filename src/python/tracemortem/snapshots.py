"""Snapshot files, as Snapshot.dump() of tracemalloc writes them: told from cores, read as bytes, and written whole or not
at all. What is in them is the engine's business: nothing is unpickled here.
"""

import contextlib
import os
import stat
import tempfile

from ._engine import Memory
from .corefile import ELF_MAGIC

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


def _is_elf(path):
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return file.read(len(ELF_MAGIC)) == ELF_MAGIC
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


class OutputFile:
    """A file being written. As a context manager it is there, whole, once `commit()` was called, and else not at all.

    With `replace` one which exists stays what it was until then.
    """

    def __init__(self, path, replace):
        self._path = os.path.realpath(path)
        self._replace = replace
        self._writing = self._path
        self._committed = False

    def __enter__(self):
        try:
            if self._replace and os.path.lexists(self._path):
                self._open_beside()
            else:
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            raise SnapshotError("%s exists already\nGive another name, or --force to replace it" % self._path) from None
        except (OSError, ValueError) as error:
            raise self._error(error) from None
        return self

    def _open_beside(self):
        """A file of another name, with the old one's permissions."""
        status = os.stat(self._path)
        if not stat.S_ISREG(status.st_mode):
            raise SnapshotError("%s is not a regular file, so it is not replaced\nGive another name" % self._path)
        if _is_elf(self._path):
            raise SnapshotError("%s is a core or a program, so it is not replaced\nGive another name" % self._path)
        folder, name = os.path.split(self._path)
        self._file, self._writing = tempfile.mkstemp(prefix=name + ".", suffix=".part", dir=folder)
        os.fchmod(self._file, stat.S_IMODE(status.st_mode))

    def write(self, data):
        data = memoryview(data)
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise self._error(error) from None

    def commit(self):
        """All is written."""
        try:
            self._close()
            if self._writing != self._path:
                os.replace(self._writing, self._path)
        except OSError as error:
            raise self._error(error) from None
        self._committed = True

    def _close(self):
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def __exit__(self, *_):
        if not self._committed:
            with contextlib.suppress(OSError):
                os.unlink(self._writing)
            with contextlib.suppress(OSError):
                self._close()

    def _error(self, error):
        return SnapshotError("cannot write %s: %s" % (self._path, getattr(error, "strerror", None) or error))

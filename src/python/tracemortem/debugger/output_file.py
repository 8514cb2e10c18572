"""Files which a command writes: whole, or not at all."""

import contextlib
import os
import stat
import tempfile

from .core_file import ELF_MAGIC


class OutputError(Exception):
    """A file which cannot be written: str() tells the user what, why and what to do."""


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
            raise OutputError("%s exists already\nGive another name, or --force to replace it" % self._path) from None
        except (OSError, ValueError) as error:
            raise self._error(error) from None
        return self

    def _open_beside(self):
        """A file of another name, with the old one's permissions."""
        status = os.stat(self._path)
        if not stat.S_ISREG(status.st_mode):
            raise OutputError("%s is not a regular file, so it is not replaced\nGive another name" % self._path)
        if _is_elf(self._path):
            raise OutputError("%s is a core or a program, so it is not replaced\nGive another name" % self._path)
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
        return OutputError("cannot write %s: %s" % (self._path, getattr(error, "strerror", None) or error))


def _is_elf(path):
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return file.read(len(ELF_MAGIC)) == ELF_MAGIC
    return False

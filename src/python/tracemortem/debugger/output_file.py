"""Files that a command writes: whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from typing import Any

from .core_file import ELF_MAGIC


class OutputError(Exception):
    """A file cannot be written: str() tells the user what, why and what to do."""


class OutputFile:
    """A file that appears only when `commit()` is called, and then whole. A context manager.

    With `replace`, an existing file keeps its content until then.
    """

    def __init__(self, path: str, replace: bool) -> None:
        self.path = os.path.realpath(path)
        self._replace = replace
        self._writing = self.path
        self._file: int | None = None
        self._committed = False
        self.written = 0  # bytes

    def __enter__(self) -> OutputFile:
        try:
            if self._replace and os.path.lexists(self.path):
                self._open_beside()
            else:
                self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            raise OutputError("%s exists already\nGive another name, or --force to replace it" % self.path) from None
        except (OSError, ValueError) as error:
            raise self._error(error) from None
        return self

    def _open_beside(self) -> None:
        """Open a file of another name in the same folder, with the old file's permissions."""
        status = os.stat(self.path)
        if not stat.S_ISREG(status.st_mode):
            raise OutputError("%s is not a regular file, so it is not replaced\nGive another name" % self.path)
        if _is_elf(self.path):
            raise OutputError("%s is a core or a program, so it is not replaced\nGive another name" % self.path)
        folder, name = os.path.split(self.path)
        self._file, self._writing = tempfile.mkstemp(prefix=name + ".", suffix=".part", dir=folder)
        os.fchmod(self._file, stat.S_IMODE(status.st_mode))

    def write(self, data: bytes) -> None:
        assert self._file is not None, "it is not open"
        rest = memoryview(data)
        try:
            while rest:
                count = os.write(self._file, rest)
                self.written += count
                rest = rest[count:]
        except OSError as error:
            raise self._error(error) from None

    def restart(self) -> None:
        """Empty it again."""
        assert self._file is not None, "it is not open"
        try:
            os.lseek(self._file, 0, os.SEEK_SET)
            os.ftruncate(self._file, 0)
        except OSError as error:
            raise self._error(error) from None
        self.written = 0

    def commit(self) -> None:
        """Finish the file and give it its name."""
        try:
            self._close()
            if self._writing != self.path:
                os.replace(self._writing, self.path)
        except OSError as error:
            raise self._error(error) from None
        self._committed = True

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def __exit__(self, *_: Any) -> None:
        if not self._committed:
            with contextlib.suppress(OSError):
                os.unlink(self._writing)
            with contextlib.suppress(OSError):
                self._close()

    def _error(self, error: Exception) -> OutputError:
        return OutputError("cannot write %s: %s" % (self.path, getattr(error, "strerror", None) or error))


class NoOutput:
    """Takes the place of an OutputFile when nothing will be written."""

    written = 0

    def write(self, data: bytes) -> None:
        pass

    def restart(self) -> None:
        pass

    def commit(self) -> None:
        pass


def _is_elf(path: str) -> bool:
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return file.read(len(ELF_MAGIC)) == ELF_MAGIC
    return False

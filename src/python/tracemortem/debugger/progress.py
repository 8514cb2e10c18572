"""Shows on a terminal how far a long command is."""

from __future__ import annotations

import time
from typing import Callable

PROGRESS_AFTER = 0.5  # seconds that a command may be silent
PROGRESS_EVERY = 0.1


class Progress:
    """A line that shows how far a command is. clear() removes it before other text is shown."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._next = time.monotonic() + PROGRESS_AFTER
        self._shown = 0  # characters of the line

    def show(self, what: str, done: int, total: int) -> None:
        if time.monotonic() < self._next:
            return
        line = "%s: %d%%" % (what, min(100, done * 100 // total if total else 0))
        self._write("\r" + line.ljust(self._shown))
        self._shown = len(line)
        self._next = time.monotonic() + PROGRESS_EVERY

    def clear(self) -> None:
        if self._shown:
            self._write("\r" + " " * self._shown + "\r")
            self._shown = 0

"""Shows on a terminal how far a long command has come."""

import time

PROGRESS_AFTER = 0.5  # seconds for which a command may be silent
PROGRESS_EVERY = 0.1


class Progress:
    """How far a command has come, in a line which is gone before anything else is shown."""

    def __init__(self, write):
        self._write = write
        self._next = time.monotonic() + PROGRESS_AFTER
        self._shown = 0  # characters of the line

    def tell(self, what, done, total):
        if time.monotonic() < self._next:
            return
        line = "%s: %d%%" % (what, min(100, done * 100 // total if total else 0))
        self._write("\r" + line.ljust(self._shown))
        self._shown = len(line)
        self._next = time.monotonic() + PROGRESS_EVERY

    def clear(self):
        if self._shown:
            self._write("\r" + " " * self._shown + "\r")
            self._shown = 0

"""Lines of source files, by Python's own linecache, as tracemalloc shows them, and why some are not shown.

The file names come from the target, so they can be anything: linecache gets only the names of regular files.
"""

from __future__ import annotations

import json
import linecache
import os
import stat
from typing import Dict, List

from .engine import SourceLine
from .source_files import Found, SourceFiles

LARGEST_SOURCE = 64 << 20  # bytes; a larger file is not Python source
CHANGED = "it changed after tracing began or the core was made; lines of it may differ from those that ran"


class SourceLines:
    """The lines that one command shows of a target's files."""

    def __init__(self, files: SourceFiles) -> None:
        self._files = files
        self._found: Dict[str, Found] = {}
        self._notes: Dict[str, List[str]] = {}  # names by what is said of them
        linecache.checkcache()  # files may have changed since the last command

    def line(self, file_name: str, number: int, started: int) -> SourceLine:
        """The line with its newline, or "". `started`: when tracing began, in nanoseconds since 1970, or 0. A line of
        a file that changed since may differ."""
        if not file_name or (file_name[0] == "<" and file_name[-1] == ">"):
            return SourceLine("")
        found = self._found.get(file_name)
        if found is None:
            found = self._found[file_name] = self._files.find(file_name)
            if found.why:
                self._note(found.why, file_name)
        line = linecache.getline(found.path, number) if _is_source(found.path) else ""
        changed = bool(line.strip()) and self._is_changed(found, started)
        if changed:
            self._note(CHANGED, file_name)
        return SourceLine(line, changed)

    def notes(self) -> List[str]:
        """What to tell the user of the lines since the last call."""
        notes = []
        for what, names in self._notes.items():
            more = "" if len(names) == 1 else " and %d more" % (len(names) - 1)
            kind = "source file" if what == CHANGED else "no source lines of"
            notes.append("%s %s%s: %s" % (kind, json.dumps(names[0]), more, what))
        self._notes.clear()
        return notes

    def _is_changed(self, found: Found, started: int) -> bool:
        times = [time for time in (started, self._files.latest) if time]
        return bool(times) and found.changed > min(times)

    def _note(self, what: str, file_name: str) -> None:
        names = self._notes.setdefault(what, [])
        if file_name not in names:
            names.append(file_name)


def _is_source(path: str) -> bool:
    """Whether linecache may read this file: not a device, a pipe, a file of /proc or a huge file."""
    try:
        status = os.stat(path) if path else None
    except (OSError, ValueError):
        return False
    return status is not None and stat.S_ISREG(status.st_mode) and 0 < status.st_size <= LARGEST_SOURCE

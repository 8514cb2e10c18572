"""Lines of source files, by Python's own linecache, as tracemalloc shows them.

The file names come from the target, so they can be anything: linecache gets only the names of regular files.
"""

from __future__ import annotations

import linecache
import os
import stat
import sys

LARGEST_SOURCE = 64 << 20  # bytes; a larger file is not Python source


def check_for_changes() -> None:
    """Forget the lines of files that have changed."""
    linecache.checkcache()


def source_line(file_name: str, line: int, root: str = "") -> str:
    """The line with its newline, or "". Absolute names are below the folder `root`."""
    if root and os.path.isabs(file_name):
        file_name = root + file_name
    return linecache.getline(file_name, line) if _is_source(file_name) else ""


def _is_source(file_name: str) -> bool:
    """Whether linecache may read this file: not a device, a pipe, a file of /proc or a huge file."""
    if not file_name or (file_name[0] == "<" and file_name[-1] == ">"):
        return False
    names = [file_name]
    if not os.path.isabs(file_name):
        names += [os.path.join(path, file_name) for path in sys.path]  # where linecache looks next
    for name in names:
        try:
            status = os.stat(name)
        except (OSError, ValueError):
            continue
        return stat.S_ISREG(status.st_mode) and 0 < status.st_size <= LARGEST_SOURCE
    return False

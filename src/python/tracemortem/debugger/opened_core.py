"""Finds the file that a debugger has open as a core, even if the file's name now means another file.

A core is often replaced: where the kernel names every core `core`, the next crash does it. So this module looks among
this process's descriptors and mappings for the debugger's, compares each file with what the debugger reads, and keeps
the right one open. It tries the name only if there is neither: gdb sometimes closes its files, and lldb copies small
ones. This module knows no debugger and no trace table.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterable, List, Set, Tuple

from .core_file import CoreError, CoreFile, printable
from .engine import Bytes

SAMPLE = 4096  # bytes of a segment to compare
MOST_SAMPLES = 64
UNCHANGING = 56  # bytes of a trace table's root, with its address and the process's id: a recorder's file goes on

_DELETED = " (deleted)"
_DESCRIPTORS, _MAPPINGS = "/proc/self/fd", "/proc/self/map_files"


class OpenedCore:
    """What a front end knows of a core that its debugger has open."""

    key: Any = None  # differs from that of every other core of this debugger, earlier ones included
    open_again = ""  # what the user must type to open a core

    def all_keys(self) -> Set[Any]:
        """The keys of all cores that are open."""
        raise NotImplementedError

    def path(self) -> str | None:
        """The name by which it was opened, or None."""
        raise NotImplementedError

    def read(self, address: int, length: int) -> Bytes | None:
        """Memory as the debugger reads it, or None."""
        raise NotImplementedError


class OpenedCores:
    """The CoreFiles of the cores that a debugger has open. It searches for each file once."""

    def __init__(self) -> None:
        self._cores: Dict[Any, CoreFile] = {}

    def get(self, opened: OpenedCore) -> CoreFile:
        """The CoreFile. Raises CoreError if the file cannot be identified or has changed."""
        for key in set(self._cores) - opened.all_keys():
            self._cores.pop(key).close()
        core = self._cores.get(opened.key)
        if core is None:
            core = self._cores[opened.key] = _find(opened, {held.bytes.fileno() for held in self._cores.values()})
        if core.own_note[0] and core.bytes.is_same_file():
            core.refresh()  # a recorder's file changes while its process lives
        elif core.bytes.is_changed():
            raise _replaced(core.path, opened)
        return core


def _find(opened: OpenedCore, own: Set[int]) -> CoreFile:
    path = opened.path()
    # Try the name first: reading makes a debugger open its file again if it had closed it.
    by_name, error = _matching(opened, [(path, path)] if path else [])
    held, _ = _matching(opened, _held_files(own))
    found = [core for core in held if path and core.path == os.path.realpath(path)]
    if not found:
        found = list({core.bytes.identity: core for core in by_name + held}.values())
    if len(found) == 1:
        return found[0]
    if error and not found and path and os.path.exists(path):
        raise error
    raise _replaced(path, opened)


def _matching(opened: OpenedCore, sources: Iterable[Tuple[str, str]]) -> Tuple[List[CoreFile], CoreError | None]:
    """The cores, each once, that hold what the debugger reads; and the error of the last file that is no core."""
    found: Dict[Any, CoreFile] = {}
    problem = None
    for name, source in sources:
        try:
            core = CoreFile(name, source)
        except CoreError as error:
            problem = error
            continue
        if core.bytes.identity not in found and _matches(core, opened):
            found[core.bytes.identity] = core
        else:
            core.close()
    return list(found.values()), problem


def _matches(core: CoreFile, opened: OpenedCore) -> bool:
    """Whether this file holds what the debugger reads."""
    whole = [segment for segment in core.segments if segment.start < segment.held_end == segment.file_end]
    whole = [segment for segment in whole if segment.writable] or whole
    if core.own_note[0]:
        whole = whole[:1]
    for segment in whole[:: len(whole) // MOST_SAMPLES + 1]:
        length = min(SAMPLE, segment.held_end - segment.start)
        if core.own_note[0]:
            length = min(length, UNCHANGING)
        data = opened.read(segment.start, length)
        if data is None or bytes(data) != core.bytes.read(segment.offset, length):
            return False
    return True


def _held_files(own: Set[int]) -> List[Tuple[str, str]]:
    """(name, what to open) of the files that this process has open or mapped, without the descriptors in `own`."""
    found = []
    for number in _listed(_DESCRIPTORS):
        link = os.path.join(_DESCRIPTORS, number)
        if int(number) not in own:
            found += [(name, link) for name, _ in _linked(link)]
    for bounds in _listed(_MAPPINGS):
        link = os.path.join(_MAPPINGS, bounds)
        # Only root may open the link itself.
        found += [(name, link if is_deleted else name) for name, is_deleted in _linked(link)]
    return list(dict.fromkeys(found))


def _listed(folder: str) -> List[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _linked(link: str) -> List[Tuple[str, bool]]:
    """[(name, whether the file has lost this name)], or nothing if the link is not of a file."""
    try:
        name = os.readlink(link)
    except OSError:
        return []
    is_deleted = name.endswith(_DELETED)
    return [(name[: -len(_DELETED)] if is_deleted else name, is_deleted)] if name.startswith("/") else []


def _replaced(path: str | None, opened: OpenedCore) -> CoreError:
    name = printable(path) + " " if path else ""
    return CoreError(
        "the core file %shas been replaced or written to since it was opened\nOpen it again: %s"
        % (name, opened.open_again)
    )

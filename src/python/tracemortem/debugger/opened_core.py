"""Which file a debugger has open as a core, whatever has become of the file's name.

A core is soon replaced: where the kernel names them all `core`, by the next crash. So the debugger's own descriptor, or its
mapping, is looked for among this process's, is compared with what the debugger reads, and is then kept open. The name is
tried only where there is neither: gdb closes its files at times, and lldb copies small ones. Knows no debugger and no
trace table.
"""

import os

from .core_file import CoreError, CoreFile, shown

SAMPLE = 4096
MOST_SAMPLES = 64

_DELETED = " (deleted)"
_DESCRIPTORS, _MAPPINGS = "/proc/self/fd", "/proc/self/map_files"


class OpenedCore:
    """What a front end tells of a core which its debugger has open."""

    key = None  # tells it from all others of this debugger, before and after
    open_again = ""  # what to type

    def all_keys(self):
        """Those of all which are open."""
        raise NotImplementedError

    def path(self):
        """The name by which it was opened, or None."""
        raise NotImplementedError

    def read(self, address, length):
        """Memory as the debugger reads it, or None."""
        raise NotImplementedError


class OpenedCores:
    """The CoreFiles of what a debugger has open: each is found once."""

    def __init__(self):
        self._cores = {}

    def get(self, opened):
        """The CoreFile. Raises CoreError where it cannot be told or was written to."""
        for key in set(self._cores) - opened.all_keys():
            self._cores.pop(key).close()
        core = self._cores.get(opened.key)
        if core is None:
            core = self._cores[opened.key] = _find(opened, {held.bytes.fileno() for held in self._cores.values()})
        if core.bytes.is_changed():
            raise _another(core.path, opened)
        return core


def _find(opened, own):
    path = opened.path()
    # What this reads makes a debugger which had closed its file open it again.
    by_name, error = _fitting(opened, [(path, path)] if path else [])
    held, _ = _fitting(opened, _held_files(own))
    found = [core for core in held if path and core.path == os.path.realpath(path)]
    if not found:
        found = list({core.bytes.identity: core for core in by_name + held}.values())
    if len(found) == 1:
        return found[0]
    if error and not found and os.path.exists(path):
        raise error
    raise _another(path, opened)


def _fitting(opened, sources):
    """The cores, each once, which hold what the debugger reads; and what is wrong with the last that is none."""
    found, problem = {}, None
    for name, source in sources:
        try:
            core = CoreFile(name, source)
        except CoreError as error:
            problem = error
            continue
        if core.bytes.identity not in found and _fits(core, opened):
            found[core.bytes.identity] = core
        else:
            core.close()
    return list(found.values()), problem


def _fits(core, opened):
    """Whether this file holds what the debugger reads."""
    whole = [segment for segment in core.segments if segment.start < segment.held_end == segment.told_end]
    whole = [segment for segment in whole if segment.writable] or whole
    for segment in whole[:: len(whole) // MOST_SAMPLES + 1]:
        length = min(SAMPLE, segment.held_end - segment.start)
        data = opened.read(segment.start, length)
        if data is None or bytes(data) != core.bytes.read(segment.offset, length):
            return False
    return True


def _held_files(own):
    """(name, what to open) of the files which this process has open, without our own, or mapped."""
    found = []
    for number in _listed(_DESCRIPTORS):
        link = os.path.join(_DESCRIPTORS, number)
        if int(number) not in own:
            found += [(name, link) for name, _ in _linked(link)]
    for bounds in _listed(_MAPPINGS):
        link = os.path.join(_MAPPINGS, bounds)
        # Only root may open the link itself.
        found += [(name, link if is_gone else name) for name, is_gone in _linked(link)]
    return list(dict.fromkeys(found))


def _listed(folder):
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _linked(link):
    """[(name, whether it is the file's no more)], or nothing if the link is of no file."""
    try:
        name = os.readlink(link)
    except OSError:
        return []
    is_gone = name.endswith(_DELETED)
    return [(name[: -len(_DELETED)] if is_gone else name, is_gone)] if name.startswith("/") else []


def _another(path, opened):
    name = shown(path) + " " if path else ""
    return CoreError(
        "the core file %sis no longer the one which was opened: it was replaced or written to\nOpen it again: %s"
        % (name, opened.open_again)
    )

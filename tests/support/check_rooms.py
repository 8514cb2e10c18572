"""Includes of the engine run downwards: `python3 check_rooms.py [SOURCE_FOLDER]` prints each one that runs up or aside.

A file of a room may include files of its own room and of the rooms of lower levels. Rooms of one level do not know each
other. The folders beside the engine, src/process/ and src/cli/, see its header and its lowest room only, and the command the layout of the switch. Prints FILE:LINE for each offence and exits with 1 if there is one. Without an argument it reads src/ here.
"""

import glob
import os
import re
import sys

# The lowest level first. A room is a folder of src/engine/, or a file there without its suffix.
LEVELS = (
    ("tracemortem",),
    ("base",),
    ("target",),
    ("model",),
    ("table",),
    ("verify",),
    ("stock", "snapshot"),
    ("heap",),
    ("objects",),
    ("graph",),
    ("account",),
    ("export",),
    ("open",),
    ("commands",),
)
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
INCLUDE = re.compile(r'\s*#\s*include\s*"engine/([^"]+)"')
# What the files of the folders beside the engine may include.
BESIDE = {
    "process": ("engine/tracemortem.h", "engine/base/", "layout/recorder_file.h", "layout/saved_core.h", "process/"),
    "cli": ("engine/tracemortem.h", "engine/base/", "layout/switch.h", "process/", "cli/"),
}


def room_of(path):
    """The room of a path below src/engine/."""
    return os.path.splitext(path.split("/")[0])[0]


def check_line(room, line):
    """What is wrong with a line of a file of this room; None: nothing."""
    match = INCLUDE.match(line)
    if not match:
        return None
    other = room_of(match.group(1))
    if other not in LEVEL_OF:
        return f"includes {match.group(1)}, which is in no known room"
    if room != other and LEVEL_OF[other] >= LEVEL_OF[room]:
        return f"{room} must not include {match.group(1)}"
    return None


def check_file(source, path):
    """Offences of a file as (line number, what is wrong); `path` is relative to `source`."""
    room = room_of(os.path.relpath(path, "engine"))
    if room not in LEVEL_OF:
        return [(1, f"{room} is no known room: add it to LEVELS")]
    with open(os.path.join(source, path), encoding="utf-8") as lines:
        found = [(number, check_line(room, line)) for number, line in enumerate(lines, 1)]
    return [(number, wrong) for number, wrong in found if wrong]


def check_beside(source):
    """Offences of the folders beside the engine."""
    result = []
    for folder, allowed in BESIDE.items():
        for path in sorted(glob.glob(os.path.join(source, folder, "*.[ch]"))):
            with open(path, encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    match = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
                    if match and not match.group(1).startswith(allowed):
                        result.append(f"{path}:{number}: {folder} must not include {match.group(1)}")
    return result


def check(source):
    """All offences below `source`, as lines "FILE:LINE: what is wrong"."""
    result = check_beside(source)
    for folder, _, names in sorted(os.walk(os.path.join(source, "engine"))):
        for name in sorted(names):
            if name.endswith((".c", ".h")):
                path = os.path.relpath(os.path.join(folder, name), source)
                result += [
                    f"{os.path.join(source, path)}:{number}: {wrong}" for number, wrong in check_file(source, path)
                ]
    return result


def main():
    source = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "..", "src")
    offences = check(os.path.normpath(source))
    for offence in offences:
        print(offence)
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())

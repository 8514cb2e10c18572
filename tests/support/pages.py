"""Finds out whether anything was written to a stopped process, by hashes of its mappings and writable pages.

It also works inside a debugger's Python, while the process is stopped.
"""

import hashlib

PAGE = 4096
PIECE = 16 * PAGE  # a digest for each page takes ten times as long
CHUNK = 1 << 20


def snapshot(pid):
    """{address: digest} of all writable memory, piece by piece, and the list of mappings under "maps"."""
    with open("/proc/%d/maps" % pid) as file:
        maps = file.read()
    pieces = {"maps": maps}
    with open("/proc/%d/mem" % pid, "rb") as memory:
        for line in maps.splitlines():
            bounds, permissions = line.split()[:2]
            start, end = (int(bound, 16) for bound in bounds.split("-"))
            if "w" not in permissions:
                continue
            for address in range(start, end, CHUNK):
                pieces.update(_digests(memory, address, min(CHUNK, end - address)))
    return pieces


def _digests(memory, start, length):
    memory.seek(start)
    try:
        data = memory.read(length)
    except OSError:  # a guard page of a thread's stack, which is not listed as a mapping of its own
        if length <= PAGE:
            return {}
        return {
            key: value for at in range(0, length, PAGE) for key, value in _digests(memory, start + at, PAGE).items()
        }
    return {start + at: hashlib.md5(data[at : at + PIECE]).digest() for at in range(0, len(data), PIECE)}


def differences(before, after):
    """What changed, in words; an empty list if nothing did."""
    changed = ["the list of mappings"] if before["maps"] != after["maps"] else []
    return changed + ["memory from %#x" % at for at in after if at != "maps" and after[at] != before.get(at)]

"""Tells whether anything was written to a stopped process: a fingerprint of its mappings and their writable pages.

Usable inside of a debugger's Python, while the process is stopped.
"""

import hashlib

PAGE = 4096


def snapshot(pid):
    """{address: digest} of every writable page, and the list of mappings under "maps"."""
    with open("/proc/%d/maps" % pid) as file:
        maps = file.read()
    pages = {"maps": maps}
    with open("/proc/%d/mem" % pid, "rb") as memory:
        for line in maps.splitlines():
            bounds, permissions = line.split()[:2]
            start, end = (int(bound, 16) for bound in bounds.split("-"))
            if "w" not in permissions:
                continue
            memory.seek(start)
            data = memory.read(end - start)
            for offset in range(0, len(data), PAGE):
                pages[start + offset] = hashlib.md5(data[offset : offset + PAGE]).digest()
    return pages


def differences(before, after):
    """What changed, as a list of words: empty if nothing did."""
    changed = ["the list of mappings"] if before["maps"] != after["maps"] else []
    return changed + ["page %#x" % page for page in after if page != "maps" and after[page] != before.get(page)]

"""The core of a small table, read by the engine in this process, with some bytes changed."""

import collections
import contextlib
import os

import cores
import debuggers
import looking
import subsets
from tracemortem.debugger import core_file, memory

LINES, TRACEBACKS = "tm-top lineno -n 1000000", "tm-top traceback -n 1000000"
BLOCKS = "tm-traces -n 1000000"
QUESTIONS = (LINES, TRACEBACKS, BLOCKS)
PAGE = cores.PAGE
PROGRAM = os.path.join(os.path.dirname(os.path.realpath(__file__)), "programs", "small.py")


class Patched(memory.CoreMemory):
    """A core's memory. `patch`, (address, bytes), replaces what the core has at the address. `pages` are the addresses
    of the pages that were read."""

    patch = None

    def __init__(self, path):
        super().__init__(core_file.CoreFile(path))
        self.pages = set()

    def read_into(self, address, buffer):
        end = address + len(buffer)
        self.pages.update(range(address // PAGE * PAGE, end, PAGE))
        if not super().read_into(address, buffer):
            return False
        if self.patch:
            place, data = self.patch
            start, end = max(place, address), min(place + len(data), end)
            if start < end:
                buffer[start - address : end - address] = data[start - place : end - place]
        return True


@contextlib.contextmanager
def small_core(python, folder, detail):
    environment = {"PYTHONPATH": debuggers.PACKAGE_PATH, "PYTHONDONTWRITEBYTECODE": "1", "LD_PRELOAD": debuggers.TRACER}
    environment["TRACEMORTEM_DETAIL"] = detail
    with debuggers.start_process([python, "-S", PROGRAM], environment=environment, folder=folder) as process:
        debuggers.kernel_core(process, folder / "core")
    yield Patched(str(folder / "core"))


def rows(answer):
    """An answer's counts as a multiset. Nothing may be added to it, and nothing may be lost silently. Rows without the older
    frames of their tracebacks are left out: see check_partial()."""
    if "traces" in answer:
        whole = [row for row in answer["traces"] if not subsets.is_partial(row)]
        return collections.Counter({subsets.block(row): 1 for row in whole})
    counts = {}
    for row in answer["statistics"]:
        if subsets.is_partial(row):
            continue
        counts[subsets.frames(row), "size"] = row["size"]
        counts[subsets.frames(row), "count"] = row["count"]
    return collections.Counter(counts)


def check_partial(answer, whole):
    """Rows without the older frames of their tracebacks have the newer ones of one in the whole answer."""
    key = "traces" if "traces" in answer else "statistics"
    partial = [row for row in answer[key] if subsets.is_partial(row)]
    known = subsets.endings({subsets.frames(row) for row in whole[key]}) if partial else set()
    assert all(subsets.frames(row) in known for row in partial)
    if key == "traces":
        blocks = {subsets.block(row)[:-1] for row in whole[key]}
        assert all(subsets.block(row)[:-1] in blocks for row in partial)


def verdict(held, options=""):
    """The verdict of tm-verify. A refused table counts as damaged."""
    try:
        return looking.ask("tm-verify " + options, held)["verdict"]
    except looking.EngineError:
        return "damaged"

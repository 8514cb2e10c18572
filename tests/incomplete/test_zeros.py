"""Pages of zeros where a core's headers promise data, as a file system leaves them behind: no row is made up of them.

Strategy: the engine, in this process, reads a core of a small table through a memory in which one page is zeros: in turn
each page of which an answer was made. Whatever it then says must be a part of the truth, and be called one.
"""

import collections

import cores
import debuggers
import looking
import pytest
import subsets
from tracemortem import corefile, memory

LINES, TRACEBACKS = "tm-top lineno -n 1000000", "tm-top traceback -n 1000000"
BLOCKS = "tm-traces -n 1000000"
QUESTIONS = (LINES, TRACEBACKS, BLOCKS)
PAGE = cores.PAGE


class Zeroing(memory.CoreMemory):
    """A core's memory in which the page at `zeroed` is zeros. `pages` are those of which anything was read."""

    zeroed = None

    def __init__(self, path):
        super().__init__(corefile.CoreFile(path))
        self.pages = set()

    def read_into(self, address, buffer):
        end = address + len(buffer)
        self.pages.update(range(address // PAGE * PAGE, end, PAGE))
        if not super().read_into(address, buffer):
            return False
        if self.zeroed is not None:
            start, end = max(self.zeroed, address), min(self.zeroed + PAGE, end)
            if start < end:
                buffer[start - address : end - address] = bytes(end - start)
        return True


@pytest.fixture(scope="module")
def small(python, tmp_path_factory):
    """The core of a small table, as a Zeroing."""
    folder = tmp_path_factory.mktemp("zeros")
    script = debuggers.os.path.join(debuggers.ROOT, "tests", "incomplete", "programs", "small.py")
    environment = {"PYTHONPATH": debuggers.PACKAGE_PATH, "PYTHONDONTWRITEBYTECODE": "1", "LD_PRELOAD": debuggers.TRACER}
    with debuggers.start_process([python, "-S", script], environment=environment, folder=folder) as process:
        debuggers.kernel_core(process, folder / "core")
    with Zeroing(str(folder / "core")) as held:
        yield held


def rows(answer):
    """What is counted of each place: a multiset, from which nothing may be missing unsaid and to which nothing may come."""
    if "traces" in answer:
        return collections.Counter({subsets.block(row): 1 for row in answer["traces"]})
    counts = {}
    for row in answer["statistics"]:
        counts[subsets.frames(row), "size"] = row["size"]
        counts[subsets.frames(row), "count"] = row["count"]
    return collections.Counter(counts)


def verdict(held):
    """What tm-verify says; a table it refuses is damaged."""
    try:
        return looking.ask("tm-verify", held)["verdict"]
    except looking.EngineError:
        return "damaged"


def test_a_page_of_zeros_makes_no_row(small):
    root = looking.ask("tm-info", small)["table_address"]
    short, damaged = collections.Counter(), set()
    assert verdict(small) == "healthy"
    for question in QUESTIONS:
        small.pages.clear()
        whole = looking.ask(question, small)
        truth = rows(whole)
        assert len(truth) > 500 and not any(whole["missing"].values())
        written = [page for page in sorted(small.pages) if (small.read(page, PAGE) or b"").strip(b"\0")]
        assert root in written
        for small.zeroed in written:
            try:
                answer = looking.ask(question, small)
            except looking.EngineError:
                assert small.zeroed == root
                continue
            seen = rows(answer)
            assert seen <= truth, (hex(small.zeroed), question, seen - truth)
            if seen != truth:
                assert answer["missing"]["corrupt_records"], (hex(small.zeroed), question, truth - seen)
                short[question] += 1
                damaged.add(small.zeroed)
        small.zeroed = None
    assert short[LINES] > 10 and short[TRACEBACKS] == short[LINES] and short[BLOCKS] > short[LINES] + 10
    for small.zeroed in damaged:
        assert verdict(small) == "damaged", hex(small.zeroed)

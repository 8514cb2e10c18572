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
        self._known = {}

    def read(self, address, length):
        data = self._known.get((address, length))
        if data is None:
            data = self._known[address, length] = super().read(address, length)
        if data is None:
            return None
        self.pages.update(range(address // PAGE * PAGE, address + length, PAGE))
        if self.zeroed is None or not self.zeroed - length < address < self.zeroed + PAGE:
            return data
        start, end = max(self.zeroed - address, 0), min(self.zeroed + PAGE - address, length)
        return data[:start] + bytes(end - start) + data[end:]


@pytest.fixture(scope="module")
def small(python, tmp_path_factory):
    """The core of a small table, as a Zeroing."""
    folder = tmp_path_factory.mktemp("zeros")
    script = debuggers.os.path.join(debuggers.ROOT, "tests", "incomplete", "programs", "small.py")
    environment = {"PYTHONPATH": debuggers.PACKAGE_PATH, "PYTHONDONTWRITEBYTECODE": "1"}
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
    whole = {question: looking.ask(question, small) for question in QUESTIONS}
    assert not any(any(answer["missing"].values()) for answer in whole.values())
    assert len(whole[TRACEBACKS]["statistics"]) > 500 and verdict(small) == "healthy"
    truth = {question: rows(answer) for question, answer in whole.items()}
    written = [page for page in sorted(small.pages) if small.read(page, PAGE).strip(b"\0")]
    root, short = looking.ask("tm-info", small)["table_address"], collections.Counter()
    for small.zeroed in written:
        changed = False
        for question in QUESTIONS:
            try:
                answer = looking.ask(question, small)
            except looking.EngineError:
                assert small.zeroed == root
                continue
            seen = rows(answer)
            assert seen <= truth[question], (hex(small.zeroed), question, seen - truth[question])
            if seen != truth[question]:
                assert answer["missing"]["corrupt_records"], (hex(small.zeroed), question, truth[question] - seen)
                short[question] += 1
                changed = True
        assert not changed or verdict(small) == "damaged", hex(small.zeroed)
    small.zeroed = None
    assert root in written
    assert short[LINES] > 10 and short[TRACEBACKS] == short[LINES] and short[BLOCKS] > short[LINES] + 10

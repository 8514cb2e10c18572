"""A million live blocks: the cost of an answer is counted in bytes read from the target, not in seconds."""

import json
import re

import debuggers
import pytest
from e2e_programs import program
from selection import thorough

# Makes every command say how many bytes it read from the target.
COUNT_BYTES = """python
from tracemortem.debugger import engine
leave = engine.Target.__exit__
def count(self, *arguments):
    print("read %d bytes" % self.bytes_read())
    leave(self, *arguments)
engine.Target.__exit__ = count
end"""


@pytest.fixture(scope="module")
def full_million(python):
    """The same in the full profile."""
    with debuggers.start_traced_process(
        python, program("million.py"), frames=25, environment={"TRACEMORTEM_DETAIL": "full"}
    ) as process:
        yield process


@pytest.fixture(scope="module")
def million(python, tmp_path_factory):
    with debuggers.start_traced_process(python, program("million.py"), frames=25) as process:
        process.python = python
        process.core = debuggers.gcore(process.pid, tmp_path_factory.mktemp("million") / "core")
        yield process


def read_by(command, **target):
    text = debuggers.answers("gdb", [COUNT_BYTES, command], **target)[1]
    count = re.search(r"read (\d+) bytes", text)
    return int(count.group(1)), text.replace(count.group(0) + "\n", "")


@pytest.mark.parametrize("where", ["live", "core"])
def test_a_traceback_reads_less_than_64_KiB(million, where):
    target = {"pid": million.pid} if where == "live" else {"core": million.core, "program": million.python}
    count, text = read_by("tm-traceback --json %s" % million.first_line, **target)
    (block,) = json.loads(text)["blocks"]
    assert block["traceback"][-1]["filename"] == program("million.py")
    assert 0 < count < 64 << 10


def read_by_top(process):
    """How many bytes it reads."""
    count, text = read_by("tm-top --json", pid=process.pid)
    answer = json.loads(text)
    here = answer["statistics"][0]
    with open(program("million.py")) as file:
        assert "# here" in file.read().splitlines()[here["lineno"] - 1]
    assert here["count"] == 1000000
    return count


@thorough
def test_the_top_is_read_from_the_sites_not_from_the_blocks(full_million):
    # The slots of a million blocks alone take 4 MB.
    assert read_by_top(full_million) < 4 << 20


def test_the_lean_top_reads_few_bytes_a_block(million):
    assert read_by_top(million) < 6 << 20


# By how many KiB a command makes the debugger's own memory grow.
GROWTH = """python
import resource
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
gdb.execute("tm-traces --json -n 3")
print("grew by %d KiB" % (peak() - before))
end"""


def test_single_traces_are_read_once_and_not_kept(million):
    count, text = read_by("tm-traces --json -n 3", pid=million.pid)
    answer = json.loads(text)
    assert answer["total_count"] > 1000000 and len(answer["traces"]) == 3
    # The slots where blocks start, and the sites.
    assert count < 32 << 20
    text = debuggers.answers("gdb", ["tm-top -n 1", GROWTH], pid=million.pid)[1]
    assert int(re.search(r"grew by (\d+) KiB", text).group(1)) < 24 << 10

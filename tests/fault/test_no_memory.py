"""The tracer gets no memory: at one call of its own, at all calls from one on, by limits of the system."""

import os
import re

import debuggers
import fault_support
import looking
import pytest

# Each allocation is either in the table or counted as lost, so their sum does not depend on what failed. A birth counts as an
# allocation too, if there is memory for its new site; births are switched off here.
EXACT = {"TRACEMORTEM_REUSE": "0", "TRACEMORTEM_DETAIL": "full"}


class Counted:
    """The run in which nothing fails."""

    def __init__(self, python, fail_mmap, folder):
        self.python = python
        self.digest = fault_support.digest(python, "busy.py")
        path = os.path.join(str(folder), "count")
        with fault_support.start(python, "busy.py", preload=fail_mmap, TM_FAIL_COUNT=path, **EXACT) as process:
            self.allocations = fault_support.check_table(process.pid)["allocations"]
            fault_support.finish(process)
        with open(path) as file:
            self.calls = int(file.read())


@pytest.fixture(scope="module")
def counted(python, fail_mmap, tmp_path_factory):
    return Counted(python, fail_mmap, tmp_path_factory.mktemp("count"))


def run_with_failure(counted, fail_mmap, which):
    """The program's result is the same. Returns the answer of tm-info, or None if there is no table at all."""
    with fault_support.start(counted.python, "busy.py", preload=fail_mmap, TM_FAIL_MMAP=which, **EXACT) as process:
        assert process.first_line == counted.digest, which
        said = process.stderr()
        if said:
            assert re.fullmatch(r"tracemortem: [^\n]*no memory[^\n]*; continuing without tracing\n", said)
            info = None
        else:
            info = fault_support.check_table(process.pid)
            assert info["allocations"] + info["lost_blocks"] == counted.allocations, which
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0, process.stderr()
    return info


def test_any_one_mmap_may_fail_and_all_is_recorded_or_counted(counted, fail_mmap):
    assert counted.calls > 10
    untraced = 0
    for call in range(1, counted.calls + 1):
        info = run_with_failure(counted, fail_mmap, str(call))
        untraced += info is None
    # The table, the map's directory; the stack's places, frames, entries and transitions.
    assert untraced == 6


@pytest.mark.parametrize("part", ["early", "half", "late"])
def test_all_mmap_from_one_on_may_fail_and_all_is_recorded_or_counted(counted, fail_mmap, part):
    # After those without which nothing is traced. The last calls are for tables that may stay as they are.
    first = {"early": 8, "half": counted.calls // 2, "late": counted.calls * 3 // 4}[part]
    info = run_with_failure(counted, fail_mmap, "%d+" % first)
    assert info["lost_blocks"] > 0


@pytest.mark.parametrize("megabytes", [24, 60])
def test_address_space_limits_change_no_result(python, megabytes):
    """`ulimit -v`: the program catches its MemoryErrors, and goes on."""
    limit = str(megabytes << 20)
    plain = fault_support.start(python, "limited.py", [limit], traced=False)
    with plain, fault_support.start(python, "limited.py", [limit]) as traced:
        assert plain.first_line == traced.first_line == "went on"
        info = fault_support.check_table(traced.pid)
        assert info["blocks"] > 1000
        fault_support.finish(traced)
        fault_support.finish(plain)


def test_a_block_which_cannot_be_put_back_after_a_failed_resize_is_counted_as_lost(any_python):
    """A tracked block: the index must grow for it, and cannot."""
    with fault_support.start(any_python, "unstored.py") as process:
        assert fault_support.check_table(process.pid)["lost_blocks"] == 1
        assert looking.answer("tm-verify --strict", pid=process.pid)["verdict"] == "healthy"
        fault_support.finish(process)


def test_a_code_object_which_cannot_be_marked_is_not_taken_for_the_one_after_it(python, fail_mmap):
    """With the newest CPython; up to 3.11 this hardly happens."""
    variables = dict(PYTHONPATH=debuggers.PACKAGE_PATH, LD_PRELOAD=fail_mmap)
    with fault_support.start(python, "unmarked.py", [fail_mmap], traced=False, **variables) as process:
        answered, wrong = map(int, process.first_line.split())
        assert answered > 0 and wrong == 0
        fault_support.finish(process)


def memory_cgroup():
    """A folder for new groups of the memory controller, or None."""
    for folder in ("/sys/fs/cgroup/memory", "/sys/fs/cgroup"):
        if os.path.exists(os.path.join(folder, "memory.limit_in_bytes")) and os.access(folder, os.W_OK):
            return folder
    return None


def test_in_a_memory_cgroup_with_a_limit_all_is_recorded(python):
    folder = memory_cgroup()
    if folder is None:
        pytest.skip("no memory controller of cgroups version 1 may be used here")
    group = os.path.join(folder, "tm-test-%d" % os.getpid())
    os.mkdir(group)
    try:
        with open(os.path.join(group, "memory.limit_in_bytes"), "w") as file:
            file.write(str(96 << 20))
        # From its beginning on: the first thing the program does is to join the group.
        with fault_support.start(python, "busy.py", TM_CGROUP=os.path.join(group, "cgroup.procs")) as process:
            info = fault_support.check_table(process.pid)
            assert info["lost_blocks"] == 0
            fault_support.finish(process)
    finally:
        os.rmdir(group)

"""CPythons without the global lock: the table has exactly what threads do at once, and it is never damaged.

Debian has no such interpreter: these tests are skipped unless one is found (see tests/support/pythons.py). The tests that
run for each CPython found run for these too: tests/e2e, tests/dropin, test_facts.py, test_moved.py.
"""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

import debuggers  # noqa: E402
import pytest  # noqa: E402
import pythons  # noqa: E402
import scripts  # noqa: E402

FOUND = pythons.find_free_threaded()
SKIPPED = pytest.param(None, marks=pytest.mark.skip(reason="no free-threaded CPython (python3.13t) in $PATH or pyenv"))
each_python = pytest.mark.parametrize("python", [p.path for p in FOUND] or [SKIPPED], ids=map(pythons.name, FOUND))

PROGRAMS = os.path.join(HERE, "programs")
HEALTHY = "healthy: the trace table"

MODULES = """
import sys
{statement}
assert not sys._is_gil_enabled(), "the lock is back"
"""

GROWTH = """
import os, threading, tracemortem
tracemortem.start(2)
def work():
    for i in range(300):
        kept = [bytearray(j * 500) for j in range(60)]
def rounds(count):
    for _ in range(count):
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
    return tracemortem.get_tracemalloc_memory()
first = rounds(5)
print(first, rounds(25))
"""


def verified(**target):
    """The answer of tm-verify. In a live process at rest nothing may be in flight either."""
    return debuggers.answers("gdb", ["tm-verify --strict"], **target)[0]


@each_python
@pytest.mark.parametrize("way", scripts.WAYS)
def test_blocks_of_threads_which_free_each_others_are_exact_by_line(python, way):
    frames = {"frames": 2} if way == "preloaded" else {}
    scripts.run(python, [os.path.join(PROGRAMS, "without_lock.py")], way=way, **frames)


@each_python
def test_the_table_of_threads_at_rest_is_healthy_alive_and_as_a_core(python, tmp_path):
    command = os.path.join(PROGRAMS, "without_lock.py")
    variables = {"PYTHONPATH": debuggers.PACKAGE_PATH}
    with debuggers.start_traced_process(python, command, frames=25, environment=variables) as process:
        assert verified(pid=process.pid).startswith(HEALTHY)
        info = debuggers.answers("gdb", ["tm-info"], pid=process.pid)[0]
        assert [line for line in info.splitlines() if line.startswith("Python:") and line.endswith(", free-threaded")]
        core = debuggers.gcore(process.pid, tmp_path / "core")
    assert verified(core=core, program=python).startswith(HEALTHY)


@each_python
def test_starting_stopping_clearing_and_forking_while_threads_allocate_leaves_a_healthy_table(python):
    command = [python, os.path.join(PROGRAMS, "without_lock_storm.py")]
    with debuggers.start_process(command, environment={"PYTHONPATH": debuggers.PACKAGE_PATH}) as process:
        child = int(process.first_line)
        assert verified(pid=child).startswith(HEALTHY)
        process.tell()
        assert process.ready() == "ready"
        assert verified(pid=process.pid).startswith(HEALTHY)


@each_python
@pytest.mark.parametrize("way", scripts.WAYS)
def test_the_tracer_does_not_bring_the_lock_back(python, way):
    statement = (
        "import tracemortem; tracemortem.start()" if way == "imported" else "import tracemalloc; tracemalloc.start()"
    )
    scripts.run_code(python, MODULES.format(statement=statement), way=way)


@each_python
def test_an_interpreter_told_to_have_the_lock_is_traced_by_its_own_layout(python):
    code = (
        "import sys, tracemortem as t; t.start(); x = bytes(9); "
        "assert sys._is_gil_enabled(); print(t.get_object_traceback(x))"
    )
    run = scripts.run_code(python, code, way="imported", PYTHON_GIL="1")
    assert run.stdout == "<string>:1\n"


@each_python
def test_threads_which_come_and_go_do_not_make_the_tracer_grow(python):
    run = scripts.run_code(python, GROWTH, way="imported")
    first, last = map(int, run.stdout.split())
    assert last <= first + (1 << 20)

"""End to end: real programs under real CPythons with the tracer; real gdb and lldb look at processes and cores.

Strategy: a program says in comments beside its lines what it has allocated, and the debuggers' answers must agree to
the byte. Where an answer must not depend on the debugger or on the kind of target, all of them are asked and their
texts are compared.
"""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import debuggers  # noqa: E402
import pytest  # noqa: E402
import pythons  # noqa: E402
from e2e_programs import program  # noqa: E402

PYTHONS = pythons.find()
ALL = PYTHONS + pythons.find_debug() + pythons.find_free_threaded()


def pytest_generate_tests(metafunc):
    """`any_python`: once with each CPython found."""
    if "any_python" in metafunc.fixturenames:
        ids = list(map(pythons.name, ALL))
        metafunc.parametrize("any_python", [python.path for python in ALL], ids=ids, scope="module")


@pytest.fixture(scope="session")
def python():
    """The newest CPython here."""
    return PYTHONS[-1].path


@pytest.fixture(scope="module")
def known(any_python):
    """The program with known allocations, stopped and waiting; `script` is its path."""
    script = program("known.py")
    with debuggers.start_traced_process(any_python, script, frames=25) as process:
        process.python = any_python
        process.script = script
        process.target, process.big, process.said_pid = map(int, process.first_line.split())
        yield process


@pytest.fixture(scope="module")
def known_core(known, tmp_path_factory):
    return debuggers.gcore(known.pid, tmp_path_factory.mktemp("known") / "known.core")

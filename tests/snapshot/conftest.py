"""Snapshot files and snapshots as objects, against the real tracemalloc of every CPython found.

Strategy: of a dump by tracemalloc, tm-diff must say what tracemalloc itself says, to the byte. Each CPython loads what
tm-save writes, and must find in it what tm-top and tm-traces say of the process. Where no debugger is needed, the tests
call the engine.
"""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import debuggers  # noqa: E402
import pytest  # noqa: E402
from snapshot_support import KNOWN, PYTHONS, Asker  # noqa: E402


@pytest.fixture
def ask():
    asker = Asker()
    yield asker
    asker.session.close()


def pytest_generate_tests(metafunc):
    """`any_python`: once with each CPython found."""
    if "any_python" in metafunc.fixturenames:
        ids = [".".join(map(str, python.version)) + ":" + python.path.strip("/").split("/")[0] for python in PYTHONS]
        metafunc.parametrize("any_python", PYTHONS, ids=ids, scope="module")


@pytest.fixture(scope="session")
def python():
    """The newest CPython here."""
    return PYTHONS[-1]


@pytest.fixture(scope="module")
def known(any_python):
    """The program with known allocations, stopped and waiting."""
    with debuggers.start_traced_process(any_python.path, KNOWN, frames=25) as process:
        process.target = int(process.first_line.split()[0])
        yield process


@pytest.fixture(scope="session")
def newest(python):
    """The same program under the newest CPython."""
    with debuggers.start_traced_process(python.path, KNOWN, frames=25) as process:
        process.python = python.path
        process.target = int(process.first_line.split()[0])
        yield process


@pytest.fixture(scope="session")
def newest_core(newest, tmp_path_factory):
    return debuggers.gcore(newest.pid, tmp_path_factory.mktemp("newest") / "known.core")

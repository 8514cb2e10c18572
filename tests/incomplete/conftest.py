"""Incomplete cores, programs without their files, tables of other processes: no answer may be wrong.

Strategy: one program is dumped completely; the answers for this core are the truth. Copies of the core are damaged in
many ways. What gdb and lldb say of each is compared with the truth, row by row: it must be a part of it, and the answer
must say so and why. TM_TEST_FULL=1 in the environment tries more ways, and sizes that take minutes.
"""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import cores  # noqa: E402
import debuggers  # noqa: E402
import patched  # noqa: E402
import pytest  # noqa: E402
import pythons  # noqa: E402
import subsets  # noqa: E402


@pytest.fixture(scope="session")
def python():
    """The newest CPython here."""
    return pythons.find()[-1].path


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("incomplete")


@pytest.fixture(scope="module", params=["lean", "full"])
def small(python, tmp_path_factory, request):
    """The core of a small table, as a patched.Patched; in each profile."""
    with patched.small_core(python, tmp_path_factory.mktemp("small"), request.param) as held:
        held.is_full = request.param == "full"
        yield held


class Dumped:
    """The dumped program: `core` written by the kernel, `gcore` by gdb, and their cores.Core."""


@pytest.fixture(scope="session")
def dumped(python, folder):
    made = Dumped()
    made.python, made.script = python, os.path.join(HERE, "programs", "holder.py")
    with debuggers.start_traced_process(python, made.script, frames=10, folder=folder) as process:
        made.object, made.pid, made.tracked = map(int, process.first_line.split())
        made.gcore = debuggers.gcore(process.pid, folder / "by-gdb.core")
        made.core = str(folder / "by-kernel.core")
        made.written_by = debuggers.kernel_core(process, made.core)
    made.segments = cores.Core(made.core)
    made.gdb_segments = cores.Core(made.gcore)
    return made


@pytest.fixture(scope="session")
def whole(dumped):
    """The truth about the program: subsets.Whole."""
    return subsets.Whole(dumped.core)

"""Objects: what is in the memory of real programs, under every CPython, compared with what the programs say.

Strategy: a program makes objects of many kinds, and a forked child of it, which has the same memory, writes down what they
are. The debuggers' answers about a core and about the process must agree.
"""

import json
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import debuggers  # noqa: E402
import pytest  # noqa: E402
import pythons  # noqa: E402
from object_programs import Truth, program  # noqa: E402

PYTHONS = pythons.find()


def pytest_generate_tests(metafunc):
    """`any_python`: once with each CPython whose objects are known."""
    if "any_python" in metafunc.fixturenames:
        known = [python for python in PYTHONS if (3, 8) <= python.version[:2] <= (3, 15)]
        metafunc.parametrize(
            "any_python", [python.path for python in known], ids=list(map(pythons.name, known)), scope="module"
        )


@pytest.fixture(scope="module")
def kinds(any_python, tmp_path_factory):
    """The program with many kinds of objects; `known` is {kind: (address, type, repr)}."""
    folder = tmp_path_factory.mktemp("kinds")
    arguments = [str(folder / "truth")]
    with debuggers.start_traced_process(any_python, program("kinds.py"), arguments, frames=5, preload=True) as process:
        process.python = any_python
        process.known = json.loads(process.first_line)
        process.truth = Truth(folder / "truth")
        process.core = debuggers.gcore(process.pid, folder / "core")
        yield process

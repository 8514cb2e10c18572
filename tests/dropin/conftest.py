"""The drop-in: in the place of CPython's tracemalloc, the tracer does what tracemalloc does.

Strategy: these tests do not describe tracemalloc again. CPython's own tests run with the tracer; the same program runs
under both and the results are compared; scripts written for tracemalloc run unchanged.
"""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

import pytest  # noqa: E402
import pythons  # noqa: E402

PYTHONS = pythons.find()
ALL = PYTHONS + pythons.find_free_threaded()


def pytest_generate_tests(metafunc):
    """`any_python`: once with each CPython found."""
    if "any_python" in metafunc.fixturenames:
        metafunc.parametrize("any_python", ALL, ids=list(map(pythons.name, ALL)), scope="module")


@pytest.fixture(scope="session")
def system_python():
    """The interpreter for which Debian packages numpy."""
    found = [python for python in PYTHONS if python.path.startswith("/usr/bin/")]
    if not found:
        pytest.skip("no CPython of the system's here")
    return found[0]

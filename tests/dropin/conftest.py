"""The drop-in: what CPython's tracemalloc does, the tracer in its place does too.

Strategy: nothing of tracemalloc's is described anew. CPython's own tests run over the tracer; the same program runs
under both and what they say of it is compared; scripts written for tracemalloc run as they are.
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
    """The one for which Debian packages numpy."""
    found = [python for python in PYTHONS if python.path.startswith("/usr/bin/")]
    if not found:
        pytest.skip("no CPython of the system's here")
    return found[0]

"""The sampled profile: are its estimates unbiased, and does it leave the program as it is?

Strategy: a program that knows its own blocks estimates them from the samples, hundreds of times. The errors of these
estimates must be distributed as the theory says.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), os.pardir, "support"))

import pytest  # noqa: E402
import pythons  # noqa: E402

PYTHONS = pythons.find()
ALL = PYTHONS + pythons.find_debug() + pythons.find_free_threaded()


def pytest_generate_tests(metafunc):
    """`any_python`: once with each CPython found."""
    if "any_python" in metafunc.fixturenames:
        metafunc.parametrize("any_python", [python.path for python in ALL], ids=map(pythons.name, ALL), scope="module")


@pytest.fixture(scope="session")
def python():
    """The newest CPython here."""
    return PYTHONS[-1].path

"""Memory: does the account of real programs add up to what the kernel counts, and is each row what the program made?"""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import pythons  # noqa: E402


def pytest_generate_tests(metafunc):
    """`any_python`: each CPython that is traced."""
    if "any_python" in metafunc.fixturenames:
        found = pythons.find()
        metafunc.parametrize("any_python", [python.path for python in found], ids=list(map(pythons.name, found)))

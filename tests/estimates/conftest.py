"""Estimates: what the commands say of a program in the sampled profile, compared with the same program in the lean one."""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
for folder in ("support", "cli", "exports", "estimates"):
    sys.path.insert(0, os.path.join(HERE, os.pardir, folder))

import pythons  # noqa: E402

PYTHONS = pythons.find()


def pytest_generate_tests(metafunc):
    """`python`: each CPython found."""
    if "python" in metafunc.fixturenames:
        metafunc.parametrize(
            "python", [python.path for python in PYTHONS], ids=map(pythons.name, PYTHONS), scope="module"
        )

"""Faults around the tracer: no memory, limits, signals, forks, ends. The program always goes on as if it were not traced.

Strategy: each program prints its result, and an untraced run must print the same. The tracer must count what it could not
record. The engine must read what is there without finding damage, and blocks and counters must agree.
"""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import pytest  # noqa: E402
import pythons  # noqa: E402

PYTHONS = pythons.find()


def pytest_generate_tests(metafunc):
    """`any_python`: once with each CPython found."""
    if "any_python" in metafunc.fixturenames:
        ids = [".".join(map(str, python.version)) + ":" + python.path.strip("/").split("/")[0] for python in PYTHONS]
        metafunc.parametrize("any_python", [python.path for python in PYTHONS], ids=ids, scope="module")


@pytest.fixture(scope="session")
def python():
    """The newest CPython here."""
    return PYTHONS[-1].path


def build_library(folder, name, *flags):
    library = str(folder / (name + ".so"))
    source = os.path.join(HERE, name + ".c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, source] + list(flags), check=True)
    return library


@pytest.fixture(scope="session")
def fail_mmap(tmp_path_factory):
    """The library that makes the tracer's mmap() fail."""
    return build_library(tmp_path_factory.mktemp("fault"), "fail_mmap", "-ldl")


@pytest.fixture(scope="session")
def storm(tmp_path_factory):
    """The library whose threads allocate without the interpreter's lock."""
    return build_library(tmp_path_factory.mktemp("fault"), "storm", "-lpthread")


@pytest.fixture(scope="session")
def handlers(tmp_path_factory):
    """The library whose handlers of fork() allocate."""
    return build_library(tmp_path_factory.mktemp("fault"), "handlers", "-lpthread")

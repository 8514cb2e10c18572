"""Snapshot files and snapshots as objects, against the real tracemalloc of every CPython found.

Strategy: what tracemalloc says of its own dump, tm-diff must say of it to the byte; what tm-save writes must give, loaded by
each CPython, what tm-top and tm-traces say of the process. Where no debugger is needed the engine is called from here.
"""

import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

import debuggers  # noqa: E402
import pytest  # noqa: E402
import pythons  # noqa: E402

sys.path.insert(0, debuggers.PACKAGE_PATH)

from tracemortem import _engine, snapshots  # noqa: E402

PYTHONS = pythons.find()
KNOWN = os.path.join(debuggers.ROOT, "tests", "e2e", "programs", "known.py")


def program(name):
    return os.path.join(HERE, "programs", name)


def run_python(path, *words):
    """What a program of this folder prints, as JSON."""
    run = subprocess.run([path] + [str(word) for word in words], stdout=subprocess.PIPE, timeout=debuggers.PATIENCE)
    assert run.returncode == 0
    return json.loads(run.stdout)


class Asker(_engine.Host):
    """The engine without a debugger."""

    def __init__(self):
        self.session = _engine.Session(_engine.Engine(), self)
        self.pieces = []

    def write(self, text):
        self.pieces.append(text)

    def diff(self, old, new, words=""):
        """What tm-diff says of two snapshot files."""
        self.pieces = []
        with snapshots.SnapshotFile(str(old)) as old_file, snapshots.SnapshotFile(str(new)) as new_file:
            with _engine.FileTarget(self.session, old_file) as before, _engine.FileTarget(self.session, new_file) as after:
                with self.session.request("tm-diff", "%s %s %s" % (old, new, words)) as request:
                    assert not request.needs_target()
                    request.set_target(0, before)
                    request.set_target(1, after)
                    request.run(None)
        return "".join(self.pieces)


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
    """The same under the newest CPython."""
    with debuggers.start_traced_process(python.path, KNOWN, frames=25) as process:
        process.python = python.path
        process.target = int(process.first_line.split()[0])
        yield process


@pytest.fixture(scope="session")
def newest_core(newest, tmp_path_factory):
    return debuggers.gcore(newest.pid, tmp_path_factory.mktemp("newest") / "known.core")

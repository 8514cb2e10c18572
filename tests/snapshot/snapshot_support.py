"""Shared by the tests of snapshots: programs, the CPythons found, and the engine without a debugger."""

import json
import os
import subprocess
import sys

import debuggers
import pythons

if debuggers.PACKAGE_PATH not in sys.path:
    sys.path.insert(0, debuggers.PACKAGE_PATH)

from tracemortem.debugger import engine, snapshot_file  # noqa: E402

PYTHONS = pythons.find()
KNOWN = os.path.join(debuggers.ROOT, "tests", "e2e", "programs", "known.py")


def program(name):
    return os.path.join(os.path.dirname(os.path.realpath(__file__)), "programs", name)


def run_python(path, *words):
    """Run a program of this folder. Returns the JSON that it prints."""
    run = subprocess.run([path] + [str(word) for word in words], stdout=subprocess.PIPE, timeout=debuggers.PATIENCE)
    assert run.returncode == 0
    return json.loads(run.stdout)


class Asker(engine.Host):
    """The engine without a debugger."""

    def __init__(self):
        self.session = engine.Session(engine.Engine(), self)
        self.pieces = []

    def write(self, text):
        self.pieces.append(text)

    def diff(self, old, new, words=""):
        """What tm-diff says of two snapshot files."""
        self.pieces = []
        with snapshot_file.SnapshotFile(str(old)) as old_file, snapshot_file.SnapshotFile(str(new)) as new_file:
            with engine.FileTarget(self.session, old_file) as before, engine.FileTarget(
                self.session, new_file
            ) as after:
                with self.session.request("tm-diff", "%s %s %s" % (old, new, words)) as request:
                    assert not request.needs_target()
                    request.set_target(0, before)
                    request.set_target(1, after)
                    request.run(None)
        return "".join(self.pieces)

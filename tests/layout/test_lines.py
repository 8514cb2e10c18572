"""The engine's line decoder gives the line that each CPython here gives, at every instruction of many code objects.

The decoder is built alone, from src/layout/lines.c. compare_lines.py makes the code objects in each interpreter, and
loads the decoder into it.
"""

import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))

import pythons  # noqa: E402

PYTHONS = pythons.find()
IDS = ["%d.%d.%d" % python.version for python in PYTHONS]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("lines") / "liblines.so")
    source = os.path.join(ROOT, "src", "layout", "lines.c")
    compiler = os.environ.get("CC", "cc").split()
    subprocess.run(compiler + ["-std=gnu11", "-O2", "-shared", "-fPIC", "-o", path, source], check=True)
    return path


@pytest.mark.parametrize("python", PYTHONS, ids=IDS)
def test_lines_are_those_of_cpython(python, library):
    program = os.path.join(HERE, "compare_lines.py")
    run = subprocess.run(
        [python.path, "-I", "-W", "ignore", program, library], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert run.returncode == 0, run.stdout.decode()
    objects, instructions = map(int, run.stdout.split())
    assert objects > 500 and instructions > 100000

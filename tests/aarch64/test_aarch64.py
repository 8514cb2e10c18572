"""A traced CPython of another machine: qemu-user runs it and writes its core, and gdb-multiarch reads the core here.

`make aarch64` runs these tests. $TM_AARCH64 is a folder with Debian's packages for that machine.
"""

import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), name) for name in ("support", "e2e")]

import debuggers  # noqa: E402
import pytest  # noqa: E402
import test_exact  # noqa: E402
from e2e_programs import program  # noqa: E402

SYSTEM = os.environ.get("TM_AARCH64", "")
TRACER = os.path.join(debuggers.BUILD, "aarch64", "python", "tracemortem", "_tracer.abi3.so")

pytestmark = pytest.mark.skipif(not SYSTEM, reason="`make aarch64` runs this, with packages of another machine")


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """(the output of known.py, its core)."""
    folder = tmp_path_factory.mktemp("aarch64")
    command = ["qemu-aarch64", "-L", SYSTEM, "-E", "LD_PRELOAD=" + TRACER, "-E", "TRACEMORTEM=25"]
    command += ["-E", "PYTHONHOME=%s/usr" % SYSTEM, SYSTEM + "/usr/bin/python3.11", program("known.py")]
    with debuggers.start_process(command, folder=folder) as process:
        process.tell()  # it aborts
        process.popen.wait(debuggers.PATIENCE)
        said = [int(word) for word in process.first_line.split()]
    (core,) = folder.glob("qemu_*.core")
    return said, core


def test_the_core_is_of_the_other_machine(known):
    text = subprocess.run(["readelf", "-h", str(known[1])], stdout=subprocess.PIPE, universal_newlines=True).stdout
    assert "AArch64" in text and "CORE" in text


def test_each_line_has_exactly_what_it_allocated(known):
    _, core = known
    rows, answer = test_exact.lines_of(debuggers.answers("gdb", [test_exact.TOP], core=core)[0], program("known.py"))
    claims, gone = test_exact.expected()
    assert {line: rows.get(line) for line in claims} == claims
    assert not gone & set(rows)


def test_an_object_is_found_with_its_traceback(known):
    (target, big, _), core = known
    texts = debuggers.answers("gdb", ["tm-traceback --json 0x%x" % at for at in (target, big + 5)], core=core)
    (block,), (large,) = (json.loads(text)["blocks"] for text in texts)
    assert (block["size"], [frame["filename"] for frame in block["traceback"]]) == (1000, [program("known.py")] * 3)
    assert (large["address"], large["size"]) == (big, 3 << 20)

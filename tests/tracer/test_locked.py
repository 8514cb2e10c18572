"""A program that locks all its memory: the tracer cannot give memory back to the system, and still forgets what was in it."""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

import debuggers  # noqa: E402
import pytest  # noqa: E402
import pythons  # noqa: E402

PROGRAM = """if 1:
    import ctypes, tracemalloc
    if ctypes.CDLL(None).mlockall(3) != 0:  # what there is, and what comes
        raise SystemExit(77)
    before = [bytes(1967 + n) for n in range(2000)]
    tracemalloc.stop()
    tracemalloc.start(3)
    after = [bytes(1967) for _ in range(100)]
    lines = [s.traceback[0].lineno for s in tracemalloc.take_snapshot().statistics("lineno") if s.size > 99999]
    print(lines)
"""


@pytest.mark.parametrize("python", pythons.find(), ids=pythons.name)
def test_blocks_of_before_stop_are_not_there_after_start(python):
    run = debuggers.run_preloaded(python.path, PROGRAM)
    if run.returncode == 77:
        pytest.skip("so much memory may not be locked here")
    assert (run.returncode, run.stdout, run.stderr) == (0, b"[8]\n", b"")

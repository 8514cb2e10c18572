"""SIGKILL at any moment of a busy program leaves a file that is whole: consistent, and exact about what was not in flight.

TM_TEST_FULL=1 kills a hundred programs of each of three CPythons; else a few of one.
"""

import os
import random
import signal
import time

import pytest
import pythons
import recordings
from selection import thorough

FULL = bool(os.environ.get("TM_TEST_FULL"))
FOUND = pythons.find()
CHOSEN = [FOUND[0], FOUND[len(FOUND) // 2], FOUND[-1]] if FULL else [FOUND[-1]]


@thorough
@pytest.mark.parametrize("python", [p.path for p in CHOSEN], ids=[pythons.name(p) for p in CHOSEN])
@pytest.mark.parametrize("detail", ["lean", "full"])
def test_a_program_killed_under_load_leaves_a_whole_file(python, detail, tmp_path):
    chance = random.Random(20261130)
    for number in range(50 if FULL else 4):
        with recordings.start(python, "churn.py", TRACEMORTEM_FILE=tmp_path, TRACEMORTEM_DETAIL=detail) as process:
            path = recordings.file_of(tmp_path, process.pid)
            time.sleep(chance.random() * 0.5)  # any moment will do
            process.popen.kill()
            assert process.popen.wait() == -signal.SIGKILL
        recordings.require_whole(path, "churn.py")
        assert recordings.File(path).note.end == recordings.NONE, number
        os.unlink(path)

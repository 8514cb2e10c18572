"""A program under load is switched at many moments, drawn by a seed. It computes what it would compute otherwise.

`make switch` does so a thousand times with each CPython; TM_TEST_FULL=1 in the environment asks for that.
"""

import os
import random
import subprocess
import time

import cli_command
import debuggers
import pytest
import pythons
from selection import is_newest, light

HERE = os.path.dirname(os.path.realpath(__file__))
BUSY = os.path.join(HERE, "programs", "busy.py")
MOMENTS = 1000 if os.environ.get("TM_TEST_FULL") else 10
LONGEST_PAUSE = 0.03  # between two switches, in seconds


def switch(*words):
    outcome = cli_command.run(*words, "--yes", "--timeout", "%ds" % (debuggers.PATIENCE / 4), "--max-stop", "20s")
    assert (outcome.status, outcome.stderr) == (0, ""), outcome
    return outcome.stdout


def end(process):
    out, error = process.communicate(timeout=debuggers.PATIENCE)
    assert (process.returncode, out, error) == (0, b"wrong: [], all went on: True\n", b"")


@light(lambda python: is_newest(python))
@pytest.mark.parametrize("python", pythons.find() + pythons.find_free_threaded(), ids=pythons.name)
def test_a_program_computes_the_same_whenever_it_is_switched(python):
    draw = random.Random("moments of %s" % (python.version,))
    process = subprocess.Popen(
        [python.path, BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert process.stdout.readline() == b"ready\n"
        for moment in range(MOMENTS):
            time.sleep(draw.random() * LONGEST_PAUSE)
            frames, detail = draw.choice((1, 5, 30)), draw.choice(("lean", "full"))
            started = switch("start", process.pid, "-f", frames, "--detail", detail)
            assert "traced from now on, with %d frame" % frames in started
            time.sleep(draw.random() * LONGEST_PAUSE)
            if moment % 10 == 0:
                verified = cli_command.run("verify", process.pid, "--stop", "--max-stop", "20s")
                assert verified.status == 0, verified.stdout + verified.stderr
            assert "no longer traced" in switch("stop", process.pid)
        end(process)
    finally:
        process.kill()
        process.wait()

"""A process stopped at any instruction of the tracer shows the blocks that were there, with or without the change in flight.

A fixed sample of `make torn`, which steps through all of corpus.py. The harness knows from each call's arguments what it
will do, and from the program where it comes from; see torn.c and oracle.c.
"""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import run  # noqa: E402
from selection import is_newest, light  # noqa: E402


@light(lambda python: is_newest(python))
@pytest.mark.parametrize("parts, options", run.SAMPLE, ids=["operations", "threads", "samples"])
@pytest.mark.parametrize("python", run.chosen_pythons(), ids=lambda python: "%d.%d.%d" % python.version)
def test_every_instruction_shows_what_was_or_what_is(python, parts, options):
    counts, status, text = run.step(python.path, parts, options)
    assert status == 0, text
    assert counts.violations == 0
    assert counts.inside > 2000 and counts.looked > 20, text

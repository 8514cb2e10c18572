"""A few of CPython's own test modules end the same way with the tracer preloaded. `make regrtest` runs many."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import regrtest  # noqa: E402
from selection import light  # noqa: E402

MODULES = ["test_gc", "test_fork1", "test_atexit", "test_thread"]


@light(lambda module: module in ("test_atexit", "test_thread"))
@pytest.mark.parametrize("module", MODULES)
def test_cpythons_tests_end_as_without_the_tracer(module):
    python = "/usr/bin/python3"
    if not regrtest.has_module(python, module):
        pytest.skip("%s comes without test.%s (Debian: libpython3.X-testsuite)" % (python, module))
    (done,) = regrtest.compare(python, [module], frames=10)
    assert not done.unknown, done.output.decode(errors="replace")[-4000:]
    assert done.count("passed") > 0

"""pytest's options --all and --quick, for all folders: see support/selection.py and README.md."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "support"))

import selection  # noqa: E402


def pytest_addoption(parser):
    group = parser.getgroup("tracemortem")
    group.addoption("--all", action="store_true", dest="tm_all", help="run every combination, as `make test-all` does")
    group.addoption("--quick", action="store_true", dest="tm_quick", help="one CPython and one debugger only")


def pytest_configure(config):
    config.addinivalue_line("markers", "light(condition): which combinations run without --all: support/selection.py")


def pytest_collection_modifyitems(config, items):
    if config.getoption("tm_all"):
        return
    wanted = selection.is_quick if config.getoption("tm_quick") else selection.is_light
    chosen, others = [], []
    for item in items:
        (chosen if wanted(item) else others).append(item)
    items[:] = chosen
    config.hook.pytest_deselected(items=others)  # counted in pytest's last line

"""pytest's options --all and --quick, for all folders: see support/selection.py and README.md."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "support"))

import debuggers  # noqa: E402
import pytest  # noqa: E402
import selection  # noqa: E402

# The files that take longest. They come first, so that no worker has one of them left when the others are done.
LONGEST = [
    "oracle/test_oracle",
    "lives/test_lives",
    "snapshot/test_saving",
    "stock/test_stock",
    "frontend/test_seam",
    "frontend/test_commands",
    "incomplete/test_without_files",
    "incomplete/test_parts",
    "e2e/test_refusals",
    "e2e/test_launch",
    "e2e/test_launcher",
    "engine/commands/test_against_tracemalloc",
    "frontend/test_opened",
    "tracer/test_threads",
    "tracer/test_sanitized",
    "tracer/test_selfcheck",
    "e2e/test_exact",
    "dropin/test_api",
]


def pytest_addoption(parser):
    group = parser.getgroup("tracemortem")
    group.addoption("--all", action="store_true", dest="tm_all", help="run every combination, as `make test-all` does")
    group.addoption("--quick", action="store_true", dest="tm_quick", help="one CPython and one debugger only")


def pytest_configure(config):
    config.addinivalue_line("markers", "light(condition): which combinations run without --all: support/selection.py")
    if not config.getoption("tm_all"):
        debuggers.save_time()


def place(item):
    """Where an item's file is in LONGEST, or behind its end."""
    return next((n for n, name in enumerate(LONGEST) if name in item.location[0]), len(LONGEST))


def pytest_collection_modifyitems(config, items):
    items.sort(key=place)
    if config.getoption("tm_all"):
        return
    wanted = selection.is_quick if config.getoption("tm_quick") else selection.is_light
    chosen, others = [], []
    for item in items:
        (chosen if wanted(item) else others).append(item)
    items[:] = chosen
    config.hook.pytest_deselected(items=others)
    config.tm_left_out = len(others)


def pytest_assertrepr_compare(op, left, right):
    """Of two long lists pytest would compute every difference, which takes hours. The first one says enough."""
    if op != "==" or not (isinstance(left, list) and isinstance(right, list)) or max(len(left), len(right)) < 200:
        return None
    first = next((n for n, pair in enumerate(zip(left, right)) if pair[0] != pair[1]), min(len(left), len(right)))
    explanation = ["a list of %d == a list of %d" % (len(left), len(right)), "they differ from index %d on:" % first]
    return explanation + [repr(side[first : first + 1])[:500] for side in (left, right)]


# pytest's own count of deselected tests does not come from the workers of pytest-xdist.


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left out"] = getattr(session.config, "tm_left_out", 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    node.config.tm_left_out = getattr(node, "workeroutput", {}).get("left out", 0)


def pytest_terminal_summary(terminalreporter, config):
    left_out = getattr(config, "tm_left_out", 0)
    if left_out:
        terminalreporter.write_line("%d tests are left to `make test-all` (pytest --all)" % left_out)

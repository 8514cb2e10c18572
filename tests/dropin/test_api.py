"""tracemalloc's whole interface, by its own name and by ours: programs print the same under stock and the tracer."""

import os
import re

import pytest
import pythons
import scripts

PROGRAMS = os.path.join(os.path.dirname(os.path.realpath(__file__)), "programs")
EXAMPLES = ["top_10", "differences", "biggest", "pretty_top", "peak"]


def program(*words):
    return os.path.join(PROGRAMS, words[0] + ".py"), *words[1:]


def outputs(python, words, frames=1, **options):
    """What a program prints under stock, and with the tracer in its place, for each way to put it there."""
    stock = scripts.run(python.path, words, **options).stdout
    assert stock
    # A preloaded tracer takes tracemalloc's place if it traces from launch.
    return stock, {
        "imported": scripts.run(python.path, words, way="imported", **options).stdout,
        "preloaded": scripts.run(python.path, words, way="preloaded", frames=frames, **options).stdout,
    }


def test_the_whole_interface_is_there_and_behaves(any_python):
    stock, ours = outputs(any_python, program("api"))
    assert ours == dict.fromkeys(ours, stock)
    assert "BaseFilter" in stock and "start(-1): ValueError" in stock or any_python.version < (3, 9)


def test_the_package_offers_the_same(any_python):
    """`import tracemortem` instead of `import tracemalloc`."""
    stock = scripts.run(any_python.path, program("api")).stdout
    ours = scripts.run(any_python.path, program("api", "tracemortem"), way="imported").stdout
    assert ours == stock
    names = scripts.run_code(
        any_python.path, "import tracemortem; print(*tracemortem.__all__); print(*dir(tracemortem))", way="imported"
    ).stdout
    listed, there = (set(line.split()) for line in names.splitlines())
    assert listed <= there and {"BaseFilter", "take_snapshot", "reset_peak", "install"} <= listed


@pytest.mark.parametrize("frames", ["0", "65536", "-1"])
def test_a_senseless_limit_is_an_error(any_python, frames):
    """This includes CPython 3.8, whose own tracer has another upper limit."""
    code = "import tracemalloc\ntry: tracemalloc.start(%s)\n"
    code += "except ValueError as error: print(error, tracemalloc.is_tracing())"
    run = scripts.run_code(any_python.path, code % frames, way="imported")
    assert run.stdout == "the number of frames must be in range [1; 65535] False\n"


INSTALL = """
import sys
{before}
import tracemortem
tracemortem.install()
tracemortem.install()
import tracemalloc, _tracemalloc
tracer = tracemortem._tracer if hasattr(tracemortem, "_tracer") else sys.modules["tracemortem._tracer"]
for name in ("start", "stop", "is_tracing", "clear_traces", "get_traced_memory", "get_traceback_limit", "_get_traces",
             "get_tracemalloc_memory", "_get_object_traceback"):
    assert getattr(tracemalloc, name).__self__ is getattr(_tracemalloc, name).__self__ is tracer, name
tracemalloc.start(7)
print(tracemortem.is_tracing(), tracemortem.get_traceback_limit())
block = bytearray(1000)
assert tracemalloc.get_object_traceback(block) is not None
assert tracemortem.get_object_traceback(block) == tracemalloc.get_object_traceback(block)
assert len(tracemalloc.take_snapshot().traces) > 0
tracemortem.stop()
print(tracemalloc.is_tracing())
"""


@pytest.mark.parametrize("before", ["", "import tracemalloc", "import _tracemalloc"])
def test_installed_before_or_after_tracemalloc_is_imported(any_python, before):
    variables = {"PYTHONPATH": scripts.debuggers.PACKAGE_PATH}
    run = scripts.run_code(any_python.path, INSTALL.format(before=before), **variables)
    assert run.stdout == "True 7\nFalse\n"


PRELOADED = """
import _tracemalloc, tracemalloc
print(_tracemalloc.__spec__.origin, tracemalloc.is_tracing(), tracemalloc.get_traceback_limit())
import tracemortem
print(tracemortem.get_traceback_limit(), tracemortem.get_traced_memory()[0] > 100000)
tracemalloc.stop()
print(tracemortem.is_tracing())
tracemortem.install()
tracemalloc.start(3)
print(tracemortem.is_tracing(), tracemortem.get_traceback_limit())
"""


def test_a_preloaded_tracer_is_installed(any_python):
    run = scripts.run_code(any_python.path, PRELOADED, way="preloaded", frames=9)
    assert run.stdout == "built-in True 9\n9 True\nFalse\nTrue 3\n"


# -- objects from free lists

KINDS = ["float", "tuple", "long_tuple", "list", "list_with_items", "dict", "dict_with_items"]


@pytest.mark.parametrize("frames", [1, 5])
def test_an_object_reborn_from_a_free_list_is_of_its_new_line(any_python, frames):
    stock, ours = outputs(any_python, program("reborn", frames))
    for text in ours.values():
        compared = [(mine, its) for mine, its in zip(text.splitlines(), stock.splitlines())]
        if (3, 11) <= any_python.version < (3, 12):
            # CPython 3.11 does not find the block of an object with its own dict: it looks after the block's start.
            instances = [(mine, its) for mine, its in compared if mine.startswith("new_instance")]
            assert len(instances) == 2
            assert all(its.endswith("None 0") and not mine.endswith("None 0") for mine, its in instances)
            compared = [pair for pair in compared if pair not in instances]
        assert [mine for mine, _ in compared] == [its for _, its in compared]
        for kind in KINDS:
            (line,) = re.findall(r"^new_%s True same block \[(.*)\] \[(.*)\] [1-9]" % kind, text, re.MULTILINE)
            was, now = (list(map(int, numbers.split(", "))) for numbers in line)
            assert was[-1] == now[-1] and len(was) == len(now) == min(frames, 3)
            assert frames == 1 or (was[0] != now[0] and was[1] != now[1])


# -- unusual blocks


def test_sizes_and_addresses_as_stock_has_them(any_python):
    """Blocks over 4 GiB, of 0 bytes, at odd addresses, in several domains at once."""
    with open("/proc/sys/vm/overcommit_memory") as file:
        if file.read().strip() == "2":
            pytest.skip("the system does not overcommit memory: /proc/sys/vm/overcommit_memory is 2")
    library = scripts.debuggers.TRACER
    stock = scripts.run(any_python.path, program("sizes", "")).stdout
    assert len(stock.splitlines()) > 50 and "(0, 6442450945)" in stock
    for way, frames in (("imported", None), ("preloaded", 1)):
        ours = scripts.run(any_python.path, program("sizes", library), way=way, frames=frames).stdout
        assert ours == stock
    if scripts.run_code(any_python.path, "print('/libpython3' in open('/proc/self/maps').read())").stdout == "False\n":
        return
    # If the tracer is preloaded before a shared libpython, the public name finds the tracer's function.
    assert scripts.run(any_python.path, program("sizes", ""), way="preloaded", frames=1).stdout == stock


def test_tracebacks_of_up_to_65535_frames(any_python):
    depth = 70000
    stock, ours = outputs(any_python, program("deep", depth))
    assert ours == dict.fromkeys(ours, stock)
    rows = [line.split(" ", 2) for line in stock.splitlines()]
    assert [(int(limit), int(kept)) for limit, kept, _ in rows] == [(n, n) for n in (1, 2, 1000, 65534, 65535)]
    # total_nframe cannot count further
    assert any_python.version < (3, 9) or all(row[2].endswith("(65535,)") for row in rows)


def test_a_thousand_starts_and_stops_leave_no_memory_behind(any_python):
    run = scripts.run(any_python.path, program("cycles", 1000), way="imported")
    mapped, resident = map(int, run.stdout.split())
    # One of CPython's arenas may come or go. One page for each cycle would be 4 MB.
    assert mapped <= 2 << 20 and resident <= 1 << 20


# -- real code


def test_a_resource_warning_tells_where_the_object_was_allocated(any_python):
    words = program("resources")
    stock = scripts.run(any_python.path, words, frames=5, options=["-W", "default"]).stderr
    assert stock.count("Object allocated at (most recent call last):") == 2
    assert "return open(os.devnull)" in stock and "listener = socket.socket()" in stock
    for options in (["-W", "default"], ["-X", "dev"]):
        assert scripts.run(any_python.path, words, way="preloaded", frames=5, options=options).stderr == stock
        assert scripts.run(any_python.path, words, way="imported", frames=5, options=options).stderr == stock


FIND_NUMPY = "import numpy, os; print(os.path.dirname(os.path.dirname(numpy.__file__)))"


def test_numpys_arrays_are_in_its_domain(system_python):
    """With the system's static interpreter, and with shared ones of its version, which can load its numpy."""
    found = scripts.run_code(system_python.path, FIND_NUMPY, check=False)
    if found.status:
        pytest.skip("%s has no numpy (Debian: python3-numpy)" % system_python.path)
    for python in pythons.find():
        if python.version[:2] == system_python.version[:2]:
            stock, ours = outputs(python, program("arrays", found.stdout.strip()))
            assert ours == dict.fromkeys(ours, stock)
            assert "389047 8000000 " in stock


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_tracemallocs_documentation_run_unchanged(any_python, example):
    words = program("examples/" + example)
    stock = scripts.run(any_python.path, words).stdout
    assert scripts.run(any_python.path, words, way="imported").stdout == stock
    assert stock.count("application.py") >= 3 or example == "peak" and stock.endswith("True True True\n")


def test_an_example_traced_from_launch(any_python):
    """More is traced, from the interpreter's start; for the program it is the same."""
    words = program("examples/differences")
    rows = []
    for way in ("stock", "preloaded"):
        text = scripts.run(any_python.path, words, frames=1, way=way).stdout
        rows.append([line for line in text.splitlines() if "application" in line])
    assert rows[0] == rows[1] and len(rows[0]) >= 4

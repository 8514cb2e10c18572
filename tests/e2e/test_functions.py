"""Functions: the names under every CPython, and that without them an answer is tracemalloc's to the byte."""

import json
import re

import debuggers
import pytest
from e2e_programs import program

SCRIPT = program("functions.py")
QUALIFIED = ["Basket.add", "outer.<locals>.inner", "<module>"]
PLAIN = ["add", "inner", "<module>"]


@pytest.fixture(scope="module")
def calls(any_python):
    with debuggers.start_traced_process(any_python, SCRIPT, frames=10) as process:
        process.addresses = list(map(int, process.first_line.split()))
        yield process


def names(calls):
    """What this CPython's code objects are called: qualified names begin with 3.11."""
    info = json.loads(debuggers.answers("gdb", ["tm-info --json"], pid=calls.pid)[0])
    return QUALIFIED if tuple(map(int, re.findall(r"\d+", info["python_version"])[:2])) >= (3, 11) else PLAIN


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_traceback_names_its_functions(calls, debugger):
    lines = ["tm-traceback %#x" % address for address in calls.addresses]
    lines += [line + " --json" for line in lines]
    texts = debuggers.answers(debugger, lines, pid=calls.pid)
    for name, text, as_json in zip(names(calls), texts, texts[3:]):
        shown = re.findall(r'File "(.*)", line \d+, in (.*)', text)
        frames = json.loads(as_json)["blocks"][0]["traceback"]
        assert shown[-1] == (SCRIPT, name), text
        assert shown[0] == (SCRIPT, "<module>"), text
        assert shown == [(frame["filename"], frame["name"]) for frame in frames]


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_function_has_what_its_lines_have(calls, debugger):
    top, rows = debuggers.answers(debugger, ["tm-top function --json -n 0", "tm-top function"], pid=calls.pid)
    (wide,) = debuggers.answers(debugger, ["tm-top function --json -n 100000"], pid=calls.pid)
    found = {row.get("name"): row for row in json.loads(wide)["statistics"] if row["filename"] == SCRIPT}
    for name, size in zip(names(calls), (100000, 200000, 300000)):
        assert size < found[name]["size"] < size + 20000, name
        assert "%s in %s: size=" % (SCRIPT, name) in rows
    assert json.loads(top)["total_size"] == sum(row["size"] for row in json.loads(wide)["statistics"])


def test_plain_is_the_same_without_functions(calls):
    lines = ["tm-traceback %#x" % calls.addresses[1], "tm-top traceback -n 3", "tm-traces -n 3 --traceback"]
    named = debuggers.answers("gdb", lines, pid=calls.pid)
    plain = debuggers.answers("gdb", [line.replace(" ", " --plain ", 1) for line in lines], pid=calls.pid)
    for with_names, without in zip(named, plain):
        assert ", in " in with_names and ", in " not in without
        assert re.sub(r"(line \d+|:\d+), in [^\n]*", r"\1", with_names) == without

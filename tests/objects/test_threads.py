"""tm-threads says of each waiting thread what faulthandler says from inside."""

import json
import re

import debuggers
import pytest
from object_programs import program
from selection import is_newest, light

pytestmark = light(lambda any_python: is_newest(any_python))


@pytest.fixture(scope="module")
def waiting(any_python, tmp_path_factory):
    folder = tmp_path_factory.mktemp("waiting")
    arguments = [str(folder / "said")]
    with debuggers.start_traced_process(any_python, program("waiting.py"), arguments, preload=True) as process:
        process.python = any_python
        process.main = int(process.first_line)
        process.said = (folder / "said").read_text()
        process.core = debuggers.gcore(process.pid, folder / "core")
        yield process


def stacks(text):
    """{thread: its lines} of faulthandler's form."""
    found = {}
    for part in text.strip().split("\n\n"):
        first, *lines = part.splitlines()
        found[int(re.search("0x[0-9a-f]+", first).group(), 16)] = lines
    return found


def test_stacks_are_those_of_faulthandler(waiting):
    (text,) = debuggers.answers("gdb", ["tm-threads --plain"], program=waiting.python, core=waiting.core)
    theirs, ours = stacks(waiting.said), stacks(text)
    assert theirs.keys() == ours.keys() and len(ours) == 4
    # The main thread has gone on since: it waits two lines below.
    main = ours.pop(waiting.main)
    others = theirs.pop(waiting.main)
    assert ours == theirs
    assert main[1:] == others[1:] and main[0] != others[0] and main[0].endswith(" in main")


def test_everywhere_the_same_with_locals(waiting):
    where = [
        ("gdb", {"program": waiting.python, "core": waiting.core}),
        ("lldb", {"program": waiting.python, "core": waiting.core}),
        ("gdb", {"pid": waiting.pid}),
    ]
    commands = ["tm-threads --locals", "tm-threads --json --locals"]
    first, *others = [debuggers.answers(debugger, commands, **options) for debugger, options in where]
    assert others == [first, first]
    frames = [frame for thread in json.loads(first[1])["threads"] for frame in thread["frames"]]
    secrets = [
        local["value"]
        for frame in frames
        for local in frame["locals"]
        if (frame["name"], local["name"]) == ("inner", "secret")
    ]
    assert sorted(secrets) == ["'secret of 0'"] + ["'secret of 1'"] * 2 + ["'secret of 2'"] * 3
    assert "    depth = 0\n" in first[0] and "    self = __main__.Worker object at 0x" in first[0]

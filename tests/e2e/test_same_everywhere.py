"""One stopped state, four ways to look at it: gdb and lldb, process and core. The answers are equal to the byte."""

import debuggers
import pytest
from selection import is_newest, light

pytestmark = light(lambda any_python: is_newest(any_python))

COMMANDS = [
    "tm-info",
    "tm-info --json",
    "tm-top",
    "tm-top lineno --limit 50",
    "tm-top filename",
    "tm-top traceback --limit 3",
    "tm-top filename --cumulative",
    "tm-top lineno -c --limit 5",
    "tm-top --include '*known.py' --limit 100",
    "tm-top --exclude '*known.py' --all-frames",
    "tm-top --domain 0 -n 2",
    "tm-top --mine '*known.py'",
    "tm-traces --mine '*known.py' --json",
    "tm-diff {core} --mine '*known.py' --json",
    "tm-top --include nothing.py",
    "tm-top --json --limit 20",
    "tm-top traceback --json --limit 5",
    "tm-traceback 0x{target:x}",
    "tm-traceback --json 0x{target:x}",
    "tm-traceback {big:d} + 100",
    "tm-traces",
    "tm-traces --sort site --traceback --limit 5",
    "tm-traces --sort address --json --limit 500",
    "tm-verify",
    "tm-verify --strict --json",
    "tm-diff {core} --limit 5",
    "tm-diff {core} {core} filename --json",
    "tm-filter add --exclude '*/importlib/*'",
    "tm-filter list",
    "tm-top",
    "tm-filter clear",
]


def test_four_ways_to_ask_get_one_answer(known, known_core):
    commands = [line.format(target=known.target, big=known.big, core=known_core) for line in COMMANDS]
    ways = {
        ("gdb", "live"): {"pid": known.pid},
        ("gdb", "core"): {"core": known_core, "program": known.python},
        ("lldb", "live"): {"pid": known.pid},
        ("lldb", "core"): {"core": known_core, "program": known.python},
    }
    answers = {way: debuggers.answers(way[0], commands, **target) for way, target in ways.items()}
    reference = answers["gdb", "live"]
    for way, texts in answers.items():
        for command, text, wanted in zip(commands, texts, reference):
            assert text == wanted, "%s, asked of %s" % (command, " ".join(way))
    assert all(reference)


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_core_differs_in_nothing_from_the_process_it_was_taken_of(known, known_core, debugger):
    text = debuggers.answers(debugger, ["tm-diff %s -n 3" % known_core], pid=known.pid)[0]
    rows = [line for line in text.splitlines() if "size=" in line and "count=" in line]
    assert rows and all("(+0 B)" in row and "(+0)" in row for row in rows), text

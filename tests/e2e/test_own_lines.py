"""A library's line holds the memory, and --mine names the lines of the program that led to it."""

import json

import debuggers
import pytest
from e2e_programs import program

SCRIPT = program("own_lines.py")


def line_of(marker):
    with open(SCRIPT) as file:
        return next(number for number, line in enumerate(file, 1) if line.endswith("  # %s\n" % marker))


@pytest.fixture(scope="module")
def shop(any_python):
    with debuggers.start_traced_process(any_python, SCRIPT, frames=25) as process:
        yield process


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_own_lines_get_what_the_library_allocates_for_them(shop, debugger):
    command = "tm-top --json -n 100 --mine %s"
    patterns = [SCRIPT, "*/own_lines.py", SCRIPT.rpartition("/")[0]]
    plain, *answers = map(
        json.loads,
        debuggers.answers(debugger, ["tm-top --json -n 0"] + [command % pattern for pattern in patterns], pid=shop.pid),
    )
    for answer in answers:
        rows = {row["lineno"]: row for row in answer["statistics"] if row["filename"] == SCRIPT}
        orders, reports = rows[line_of("orders")], rows[line_of("reports")]
        # Each document is some 5,500 strings, lists and keys; a few more objects come with the first one.
        assert reports["count"] > 2 * 5000
        for fact in ("count", "size"):
            assert abs(orders[fact] - 3 * reports[fact]) < reports[fact] / 100
        # Each block counts once.
        shown = sum(row["size"] for row in answer["statistics"])
        assert shown + answer["unmatched"]["size"] == answer["total_size"] == plain["total_size"]
        assert answer["unmatched"]["count"] > 0


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_one_frame_is_too_few_and_it_is_said(any_python, debugger):
    with debuggers.start_traced_process(any_python, SCRIPT, frames=1) as process:
        commands = ["tm-top --mine */own_lines.py", "tm-top --mine */own_lines.py --json", "tm-info"]
        text, answer, info = debuggers.answers(debugger, commands, pid=process.pid)
    assert "cut before any frame matched: only 1 frame is kept; 10 or more would name the callers" in text
    unmatched = json.loads(answer)["unmatched"]
    # The rest was allocated at the top of a stack, by the start of the interpreter: one frame is all there is.
    assert unmatched["cut_count"] > 0.8 * unmatched["count"] > 40000
    assert "1 frame per traceback; 10 or more would name the callers\n" in info

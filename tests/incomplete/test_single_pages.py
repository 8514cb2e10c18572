"""Losing one page costs little: in a program of a million blocks no page but the root's costs more than a tenth.

Strategy: the engine in this process reads the program's core without one page of the table, or with zeros in its place.
A sample of the pages of the arrays, of units, and of grids and lists take their turn; with TM_TEST_FULL=1 in the
environment all of them.

That is a tenth of the rows by line, and of the blocks, in either profile.
"""

import os
import sys

import debuggers
import looking
import patched
import pytest
import selection

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "layout"))
import document  # noqa: E402

PROGRAM = os.path.join(os.path.dirname(os.path.realpath(__file__)), "programs", "million.py")
SAMPLE = 10**9 if os.environ.get("TM_TEST_FULL") else 40


def pages_of(start, length):
    return range(start // patched.PAGE * patched.PAGE, start + length, patched.PAGE)


def pages_of_arrays(table):
    """The pages of all records, and of the units."""
    for name in ("bytes", "strings", "codes", "nodes", "sites", "counters", "leaves"):
        array = table.array(name)
        for number in range(0, array["count"], max(1, patched.PAGE // array["record_size"])):
            yield from pages_of(table.place(array, number), array["record_size"])
    for number in range(1, table.array("leaves")["count"]):
        units = table.record("leaves", "tm_leaf", number)["units"]
        yield from pages_of(units, table.value["TM_LEAF_UNITS"] * table.records["tm_unit"][0])


def line(row):
    return row["traceback"][0]["filename"], row["traceback"][0]["lineno"]


@selection.thorough
@pytest.mark.parametrize("detail", ["lean", "full"])
def test_no_page_costs_a_tenth_of_the_rows(python, tmp_path, detail):
    environment = {"LD_PRELOAD": debuggers.TRACER, "TRACEMORTEM": "10", "TRACEMORTEM_DETAIL": detail}
    with debuggers.start_process([python, "-S", PROGRAM], environment=environment, folder=tmp_path) as process:
        debuggers.kernel_core(process, tmp_path / "core")
    held = patched.Patched(str(tmp_path / "core"))
    root = looking.ask("tm-info", held)["table_address"]
    held.pages.clear()
    whole = looking.ask(patched.LINES, held)
    truth = {line(row): row["count"] for row in whole["statistics"]}
    assert whole["total_count"] > 10**6 and len(truth) > 1500 and not any(whole["missing"].values())
    first = sorted(set(pages_of_arrays(document.Table(held.read, root))) & held.pages)
    others = sorted(held.pages - set(first) - {root, root + patched.PAGE})
    worst = (0, "none")
    for page in first[:: max(1, len(first) // SAMPLE)] + others[:: max(1, 2 * len(others) // SAMPLE)]:
        for how in ("missing", "zeros"):
            held.lost = page if how == "missing" else None
            held.patch = (page, bytes(patched.PAGE)) if how == "zeros" else None
            answer = looking.ask(patched.LINES, held)
            counts = {line(row): row["count"] for row in answer["statistics"]}
            touched = sum(1 for place, count in truth.items() if counts.get(place, 0) < count)
            blocks = whole["total_count"] - answer["total_count"]
            share = max(touched / len(truth), blocks / whole["total_count"])
            worst = max(worst, (share, "%s at %#x" % (how, page)))
            assert not touched or any(answer["missing"].values())
    print(detail, "the worst:", worst)
    assert worst[0] <= 0.1

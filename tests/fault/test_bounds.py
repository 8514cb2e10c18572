"""A program that never stops producing new stacks fills the table only so far, and what is kept of them is right."""

import os

import fault_support
import looking
import pytest
import pythons

TURNS = 4000
RECORDS = 8000

with open(fault_support.program("branching.py")) as source:
    LINES = source.read().splitlines()


def line_of(text):
    return 1 + next(number for number, line in enumerate(LINES) if text in line)


NEWEST, ODD, EVEN, LOOP = line_of("# each turn"), line_of("# odd"), line_of("# even"), line_of("    descend(turn, 0)")


def whole(turn):
    """The lines of the traceback of a turn, the newest first."""
    callers = [ODD if turn >> depth & 1 else EVEN for depth in range(14)]
    return [NEWEST] + callers[::-1] + [LOOP]


OLDEST, NEWEST_PYTHON = (pythons.find()[i].path for i in (0, -1))


# The tracemalloc of the oldest CPython does not count frames, so there the missing ones are noticed in another way.
@pytest.mark.parametrize("python, frames", [(OLDEST, 25), (NEWEST_PYTHON, 25), (NEWEST_PYTHON, 5)])
def test_a_full_table_shortens_tracebacks_and_says_how_many(python, frames):
    with fault_support.start(
        python, "branching.py", [str(TURNS)], frames=frames, TRACEMORTEM_RECORDS=str(RECORDS)
    ) as process:
        assert process.first_line == str(TURNS)
        info = fault_support.check_table(process.pid)
        assert looking.answer("tm-verify", pid=process.pid)["damaged"] == 0
        traces = looking.answer("tm-traces -n 100000 --include *branching.py", pid=process.pid)["traces"]
        top = looking.answer("tm-top lineno -n 5", pid=process.pid)["statistics"]
        fault_support.finish(process)

    assert info["lost_blocks"] == 0
    assert info["record_limit"] == RECORDS >= info["sites"] and info["nodes"] <= 2 * RECORDS

    # The line is right for every block; a traceback has all its frames, or its newest one.
    here = [row for row in top if os.path.basename(row["filename"]) == "branching.py" and row["lineno"] == NEWEST]
    truth = {tuple(whole(turn)[:frames]) for turn in range(TURNS)}
    blocks = [trace for trace in traces if 1000 <= trace["size"] < 1100]
    tracebacks = [tuple(frame["lineno"] for frame in reversed(trace["traceback"])) for trace in blocks]
    tracebacks = [lines for lines in tracebacks if lines[0] == NEWEST]
    assert set(tracebacks) <= truth | {(NEWEST,)}
    shortened = sum(len(lines) == 1 for lines in tracebacks) if frames > 1 else 0
    assert len(tracebacks) == TURNS <= here[0]["count"] <= TURNS + 2  # and the list itself
    assert info["shortened"] >= shortened
    assert (0 < shortened < TURNS) == (frames == 25)


GENERATED, KEPT_OF = 20000, 1000


# There is room for 2000 code objects and as many names. The full profile collects only when that is used up.
@pytest.mark.parametrize("detail", ["lean", "full"])
def test_code_objects_that_come_and_go_leave_room_for_others(detail):
    with fault_support.start(
        NEWEST_PYTHON,
        "generated.py",
        [str(GENERATED)],
        frames=5,
        TRACEMORTEM_RECORDS=str(RECORDS),
        TRACEMORTEM_DETAIL=detail,
    ) as process:
        assert process.first_line == str(GENERATED // KEPT_OF)
        info = fault_support.check_table(process.pid)
        verdict = looking.answer("tm-verify", pid=process.pid)
        rows = looking.answer("tm-top lineno -n 1000 --include generated_*", pid=process.pid)["statistics"]
        fault_support.finish(process)
    assert verdict["damaged"] == 0 and verdict["full"] == [] and info["lost_frames"] == 0
    assert info["codes"] < RECORDS // 4 and info["strings"] < RECORDS // 4
    blocks = {row["filename"]: row for row in rows if row["lineno"] == 3 and row["size"] > 5000}
    assert set(blocks) == {"generated_%d.py" % number for number in range(0, GENERATED, KEPT_OF)}
    assert all(row["count"] == 1 for row in blocks.values())

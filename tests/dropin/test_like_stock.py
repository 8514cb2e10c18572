"""The same program under stock tracemalloc and under the tracer has the same blocks, lines, tracebacks and sizes."""

import json
import os

import pytest
import scripts
from selection import is_newest, is_one_of_its_version, light

PROGRAM = os.path.join(os.path.dirname(os.path.realpath(__file__)), "programs", "everything.py")


def blocks(python, limit, **options):
    """{(frames, domain, total_nframe): (size, count)} for the program's own lines."""
    run = scripts.run(python.path, [PROGRAM, limit], **options)
    answer = json.loads(run.stdout)
    assert answer["limit"] == limit and answer["total"]
    found = {}
    for traceback, domain, total, size, count in answer["blocks"]:
        found[tuple(map(tuple, traceback)), domain, total] = (size, count)
    return found


def lines(found):
    """{(file name, line): (size, count)}"""
    sums = {}
    for (traceback, _, _), (size, count) in found.items():
        before = sums.get(traceback[0], (0, 0))
        sums[traceback[0]] = (before[0] + size, before[1] + count)
    return sums


def without_cut_totals(found):
    """The same, without the number of all frames of a traceback that was cut."""
    result = {}
    for (frames, domain, total), (size, count) in found.items():
        key = frames, domain, total if total == len(frames) else None
        before = result.get(key, (0, 0))
        result[key] = (before[0] + size, before[1] + count)
    return result


def compare(ours, stock):
    assert lines(ours) == lines(stock)
    assert ours == stock
    # The comparison has substance: exec'd code with strange names, threads, the program's lines.
    assert len(lines(stock)) >= 60 and sum(count for _, count in stock.values()) > 3000
    assert len({name for name, _ in lines(stock)}) >= 5


@light(
    lambda any_python, way, frames: is_newest(any_python)
    or is_one_of_its_version(any_python)
    and (way == "imported") == (frames == 1)
)
@pytest.mark.parametrize("frames", [1, 25])
@pytest.mark.parametrize("way", scripts.WAYS)
def test_each_line_has_the_same_size_and_count(any_python, way, frames):
    stock = blocks(any_python, frames)
    ours = blocks(any_python, frames, way=way)
    compare(ours, stock)
    totals = {total for _, _, total in ours}
    assert totals == {None} if any_python.version < (3, 9) else max(totals) > 100


@pytest.mark.parametrize("detail", ["lean", "full"])
@pytest.mark.parametrize("frames", [1, 25])
def test_from_launch_too(any_python, frames, detail):
    """In the lean profile the frames that were cut off are not counted; all else is the same."""
    stock = blocks(any_python, frames, frames=frames)
    ours = blocks(any_python, frames, frames=frames, way="preloaded", TRACEMORTEM_DETAIL=detail)
    if detail == "lean":
        stock = without_cut_totals(stock)
    compare(ours, stock)


def test_the_comparison_would_notice_blocks_from_free_lists(any_python):
    """Without births, blocks that come from free lists are not counted for the lines that use them again."""
    stock = blocks(any_python, 1)
    ours = blocks(any_python, 1, way="imported", TRACEMORTEM_REUSE="0")
    assert lines(stock) != lines(ours)


def test_what_is_resized_while_a_snapshot_is_made_leaves_the_same_traces(any_python):
    """No trace is left at the block's old address, where another block may be by now."""
    program = os.path.join(os.path.dirname(PROGRAM), "paused.py")
    stock = scripts.run(any_python.path, [program])
    assert len(stock.stdout.split()) == 4
    assert scripts.run(any_python.path, [program], way="preloaded").stdout == stock.stdout

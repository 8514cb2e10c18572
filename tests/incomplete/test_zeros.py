"""Pages of zeros where a core's headers promise data, as a file system may leave them: no row is made from zeros.

Strategy: the engine in this process reads the core of a small table with one page replaced by zeros. Each page that an
answer needs takes its turn. Each answer must be a part of the truth, and must say so.
"""

import collections

import looking
from patched import BLOCKS, LINES, PAGE, QUESTIONS, TRACEBACKS, check_partial, rows, verdict
from selection import thorough


@thorough
def test_a_page_of_zeros_makes_no_row(small):
    root = looking.ask("tm-info", small)["table_address"]
    short, damaged = collections.Counter(), set()
    assert verdict(small) == "healthy"
    for question in QUESTIONS:
        small.pages.clear()
        whole = looking.ask(question, small)
        truth = rows(whole)
        assert len(truth) > 500 and not any(whole["missing"].values())
        written = [page for page in sorted(small.pages) if (small.read(page, PAGE) or b"").strip(b"\0")]
        assert root in written
        root_pages = (root, root + PAGE)
        for page in written:
            small.patch = (page, bytes(PAGE))
            try:
                answer = looking.ask(question, small)
            except looking.EngineError:
                assert page in root_pages
                continue
            seen = rows(answer)
            check_partial(answer, whole)
            assert seen <= truth, (hex(page), question, seen - truth)
            if seen != truth:
                assert any(answer["missing"].values()), (hex(page), question, truth - seen)
                short[question] += 1
                damaged.add(page)
        small.patch = None
    # The records of so small a table have copies. What has none are the map and the counters.
    assert short[BLOCKS] > 10 and short[TRACEBACKS] >= short[LINES] > 0
    # In the lean profile the rows are counted in the map, too.
    assert short[BLOCKS] > short[LINES] if small.is_full else short[BLOCKS] >= short[LINES]
    for page in damaged:
        small.patch = (page, bytes(PAGE))
        assert verdict(small) == "damaged", hex(page)

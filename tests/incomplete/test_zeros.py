"""Pages of zeros where a core's headers promise data, as a file system may leave them: no row is made from zeros.

Strategy: the engine in this process reads the core of a small table with one page replaced by zeros. Each page that an
answer needs takes its turn. Each answer must be a part of the truth, and must say so.
"""

import collections

import looking
from patched import BLOCKS, LINES, PAGE, QUESTIONS, TRACEBACKS, rows, verdict
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
        for page in written:
            small.patch = (page, bytes(PAGE))
            try:
                answer = looking.ask(question, small)
            except looking.EngineError:
                assert page == root
                continue
            seen = rows(answer)
            assert seen <= truth, (hex(page), question, seen - truth)
            if seen != truth:
                assert answer["missing"]["corrupt_records"], (hex(page), question, truth - seen)
                short[question] += 1
                damaged.add(page)
        small.patch = None
    assert short[LINES] > 10 and short[TRACEBACKS] == short[LINES] and short[BLOCKS] > short[LINES] + 10
    for page in damaged:
        small.patch = (page, bytes(PAGE))
        assert verdict(small) == "damaged", hex(page)

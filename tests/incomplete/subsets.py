"""Checks that a debugger's answer for a part of a core is a part of its answer for the whole core."""

import json

import asking
import debuggers

MADE = "--include '/srv/made/*'"
INFO = "tm-info --json"
LINES = "tm-top lineno --json -n 1000000"
TRACEBACKS = "tm-top traceback --json -n 1000000 " + MADE
BLOCKS = "tm-traces --json -n 1000000 " + MADE
QUESTIONS = [INFO, LINES, TRACEBACKS, BLOCKS]


def frames(row):
    return tuple((frame["filename"], frame["lineno"]) for frame in row["traceback"])


def is_partial(row):
    """Whether it has only the newest frames of its traceback, since the older ones cannot be read."""
    return row.get("older_frames_missing", False)


def endings(tracebacks):
    """All that can be left of these tracebacks."""
    return {traceback[at:] for traceback in tracebacks for at in range(len(traceback))}


class Whole:
    """The answers for a whole core, which are the same in both debuggers."""

    def __init__(self, core):
        texts = []
        for debugger in debuggers.DEBUGGERS:
            (answers,) = asking.ask(debugger, [(core, QUESTIONS)])
            assert not any(answer.error for answer in answers), answers
            texts.append([answer.output for answer in answers])
        assert texts[0][1:] == texts[1][1:]
        self.texts = texts[0]
        info, lines, tracebacks, blocks = (json.loads(text) for text in self.texts)
        assert not any(has_gap(answer) for answer in (info, lines, tracebacks, blocks))
        self.endings = endings({frames(row) for row in tracebacks["statistics"]})
        self.table = info["table_address"]
        self.info, self.totals = info, {}
        self.rows = {}
        for question, answer in ((LINES, lines), (TRACEBACKS, tracebacks)):
            self.rows[question] = {frames(row): (row["size"], row["count"]) for row in answer["statistics"]}
            self.totals[question] = (answer["total_size"], answer["total_count"])
        self.blocks = {block(row) for row in blocks["traces"]}
        assert len(self.rows[TRACEBACKS]) > 1000 and len(self.blocks) > 3000

    def check(self, answers):
        """Assert that these Answers to QUESTIONS are a part of ours. Returns how many rows and blocks they have, or None
        if all were refused because the table is missing."""
        assert "Traceback (most recent call last)" not in "".join(answer.error for answer in answers)
        if answers[0].error:
            for answer in answers:
                check_refusal(answer.error)
            return None
        assert not any(answer.error for answer in answers), answers
        info, lines, tracebacks, blocks = (parse(answer.output) for answer in answers)
        for key in ("blocks", "sites_live", "allocations", "allocated", "traced_memory", "domains"):
            assert info[key] is None or info[key] <= self.info[key], key
        assert info["table_address"] == self.table
        for question, answer in ((LINES, lines), (TRACEBACKS, tracebacks)):
            self._check_rows(question, answer)
        self._check_blocks(blocks)
        return len(lines["statistics"]) + len(tracebacks["statistics"]), len(blocks["traces"])

    def _check_rows(self, question, answer):
        known, short = self.rows[question], False
        for row in answer["statistics"]:
            if is_partial(row):
                assert frames(row) in self.endings, row
                short = True
                continue
            assert frames(row) in known, row
            size, count = known[frames(row)]
            assert row["size"] <= size and row["count"] <= count, (row, size, count)
        total = answer["total_size"], answer["total_count"]
        assert total[0] <= self.totals[question][0] and total[1] <= self.totals[question][1]
        short = short or len(answer["statistics"]) < len(known) or total != self.totals[question]
        check_gap(answer, short)

    def _check_blocks(self, answer):
        found = [block(row) for row in answer["traces"] if not is_partial(row)]
        partial = [block(row) for row in answer["traces"] if is_partial(row)]
        assert set(found) <= self.blocks and len(set(found)) == len(found)
        assert {row[:-1] for row in partial} <= {row[:-1] for row in self.blocks}
        assert all(row[-1] in self.endings for row in partial)
        check_gap(answer, len(found) < len(self.blocks))


def block(row):
    return row["address"], row["size"], row["domain"], row["resizing"], frames(row)


def parse(text):
    """The JSON object, below a debugger's warnings."""
    return json.loads(text[text.index("{") :])


def has_gap(answer):
    missing = answer["missing"]
    return bool(missing["unreadable_records"] or missing["corrupt_records"] or missing.get("partial_tracebacks"))


def check_gap(answer, short):
    """An incomplete answer must say how much is missing and why."""
    missing = answer["missing"]
    assert not missing["corrupt_records"], missing
    if short:
        assert has_gap(answer) and missing["first_address"], missing
    if missing["unreadable_records"]:
        assert missing["why"].strip(), missing


def check_refusal(message):
    """The first line of a message says what is wrong and why; the others say what to type."""
    lines = message.strip().splitlines()
    # If nothing shows that memory is missing, CPython's own tables are searched for, too.
    assert len(lines) >= 2 and ("trace table" in lines[0] or "tables of tracemalloc" in lines[0]), message

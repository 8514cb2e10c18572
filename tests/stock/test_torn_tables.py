"""Tables stopped inside insertion, rehash, removal and clear_traces(): no wrong traceback, and losses are counted.

A process runs instruction by instruction. After each change of its table the engine lists the traces. Each trace must
be one from before the operation or from after it. If traces are missing that exist both before and after, the answer
must report at least as many as missing.

TM_TORN=1 tries every state of many operations, on every CPython with a symbol table. Without it, a sample is tried.
"""

import os
import random

import debuggers
import pytest
import pythons
from selection import is_newest, light
from stepper import Stepper

HERE = os.path.dirname(os.path.realpath(__file__))
LONG = bool(os.environ.get("TM_TORN"))
# The program's own operations, and the interpreter's operations in between, which often make the table grow.
OPERATIONS = ["PyTraceMalloc_Track", "PyTraceMalloc_Untrack", "tracemalloc_malloc_gil", "tracemalloc_free"]
CLEARING = ["_PyTraceMalloc_ClearTraces", "_tracemalloc_clear_traces", "tracemalloc_clear_traces"]
MOST_ENTRIES = 400
STRIDE = 1 if LONG else 17  # instructions between two looks


def with_symbols():
    """CPythons whose static variables are in the file's symbol table: the oldest for each kind of table, or all."""
    found = [python for python in pythons.find() if "pyenv" in python.path or "local" in python.path]
    return found if LONG else [python for python in found if python.version[:2] in ((3, 8), (3, 11), (3, 13))]


class Table:
    """A table's state: its head, its array, and the entries it had. Two states differ if these bytes differ."""

    def __init__(self, stepper, address):
        self._stepper = stepper
        self._address = address
        self._is_3_8 = stepper.word(address + 24) == 8

    def _shape(self):
        head = self._stepper.read(self._address, 80)
        counts = [int.from_bytes(head[at : at + 8], "little") for at in (0, 8, 16)]
        return head, counts[0 if self._is_3_8 else 1], counts[2]

    def is_full(self):
        """Whether one entry more or less makes the table grow or shrink."""
        head, buckets, _ = self._shape()
        entries = int.from_bytes(head[8:16] if self._is_3_8 else head[:8], "little")
        return 2 * (entries + 1) > buckets or 10 * (entries - 1) < buckets

    def entries(self):
        _, buckets, array = self._shape()
        addresses = []
        for bucket in range(buckets):
            entry = self._stepper.word(array + 8 * bucket)
            while entry and len(addresses) < MOST_ENTRIES:
                addresses.append(entry)
                entry = self._stepper.word(entry)
        return addresses

    def state(self, entries):
        head, buckets, array = self._shape()
        try:
            heads = self._stepper.read(array, 8 * buckets)
        except OSError:
            heads = b""
        # If the entries are close together, read everything between them: one read is faster than hundreds.
        first, last = min(entries, default=0), max(entries, default=0)
        if last - first < 1 << 16:
            return head, heads, self._stepper.read(first, last + 40 - first) if entries else b""
        return head, heads, [self._stepper.read(entry, 40) for entry in entries]


def rows_of(answer):
    """The rows of an answer by block, and how many records it reports as missing."""
    rows = {}
    for row in answer["traces"]:
        frames = tuple((frame["filename"], frame["lineno"]) for frame in row["traceback"])
        key = (row["domain"], row["address"])
        assert key not in rows, "%r is listed twice" % (key,)
        rows[key] = (row["size"], frames, row["total_nframe"])
    missing = answer["missing"]
    return rows, missing["unreadable_records"] + missing["corrupt_records"] + missing["torn_records"]


def ask(stepper):
    return rows_of(stepper.ask("tm-traces", "--json -n 1000000"))


class Tally:
    """The results of all states that were looked at."""

    def __init__(self):
        self.states = self.partial = self.most_lost = 0


def check_state(tally, before, after, rows, missing):
    for key, row in rows.items():
        sides = [side[key] for side in (before, after) if key in side]
        assert sides, "%r was never traced: %r" % (key, row)
        # A block that is resized in place has the new size and the old traceback for an instant.
        sizes, tracebacks = {side[0] for side in sides}, {side[1:] for side in sides}
        assert row[0] in sizes and row[1:] in tracebacks, (key, row, sides)
    lost = len([key for key in before if key in after and key not in rows])
    assert missing >= lost, "%d traces are lost, but only %d are reported as missing" % (lost, missing)
    tally.states += 1
    tally.partial += lost > 0
    tally.most_lost = max(tally.most_lost, lost)


def step_through(stepper, table, chance, rng, tally):
    """Step through one operation and check the states that `chance` picks."""
    entries = table.entries()
    before, said = ask(stepper)
    assert said == 0
    last, answers = None, []
    for number, _ in enumerate(stepper.steps()):
        if number % STRIDE:
            continue
        state = table.state(entries)
        if state != last and rng.random() < chance:
            answers.append(ask(stepper))
        last = state
    after, said = ask(stepper)
    assert said == 0
    for rows, missing in answers:
        check_state(tally, before, after, rows, missing)


def torn(python, rounds, chance, domain=0):
    """Run the program. `chance` picks among operations that do not rehash, and among the states of those that do."""
    rng = random.Random(python.version[1])
    tally = Tally()
    command = [python.path, os.path.join(HERE, "programs", "torn.py"), rounds, 24, domain]
    with debuggers.start_process(command) as process:
        with Stepper(process) as stepper:
            process.tell()
            stepper.break_at(*OPERATIONS + [name for name in CLEARING if name in stepper.symbols][:1])
            info = stepper.ask("tm-info", "--json")
            assert (info["source"], info["tracing"]) == ("stock", True)
            table = Table(stepper, info["table_address"])
            while stepper.run_to_break():
                if table.is_full() and (LONG or tally.partial == 0):
                    step_through(stepper, table, max(chance, 0.4), rng, tally)
                elif rng.random() < chance:
                    step_through(stepper, table, 1, rng, tally)
                else:
                    stepper.skip()
    return tally


def name_of(python):
    return ".".join(map(str, python.version))


@light(lambda python: is_newest(python))
@pytest.mark.parametrize("python", with_symbols(), ids=name_of)
def test_no_torn_state_gives_a_wrong_traceback(python):
    tally = torn(python, rounds=3 if LONG else 1, chance=1 if LONG else 0.004)
    print("%d states, %d of them with losses, at most %d traces" % (tally.states, tally.partial, tally.most_lost))
    assert tally.states > 20
    # Some states were in the middle of a rehash.
    assert tally.partial > 0


@pytest.mark.skipif(not LONG, reason="a longer run: set TM_TORN")
@pytest.mark.parametrize("python", with_symbols(), ids=name_of)
def test_another_domains_table(python):
    assert torn(python, rounds=1, chance=1, domain=7).states > 50

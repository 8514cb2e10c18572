"""Records that the program has overwritten: an answer is right, or it says that something is wrong.

Strategy: as with pages of zeros, but a bit, a byte, a word or a few words change at random places of each kind of
record. They become what a wild pointer leaves: numbers, addresses, texts, zeros. The answers without the patch are the
truth.

Slots, entries and counters have no hash. In the full profile the bytes of a site's counters are compared with the table's
totals and, by tm-traces, with the blocks. A wrong count of blocks is not seen by tm-top, which has only the site's
count; tm-verify reports it. In the lean profile a block is nothing but its slot or entry: if that leads to another site,
nothing shows it. TM_TEST_FULL=1 in the environment tries more.
"""

import collections
import os
import random
import struct
import sys

import looking
import pytest
from patched import BLOCKS, QUESTIONS, check_partial, rows, verdict
from selection import light

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "layout"))
import document  # noqa: E402

TRIES = 400 if os.environ.get("TM_TEST_FULL") else 25
AREAS = ("bytes", "strings", "codes", "nodes", "sites", "leaves", "tracked", "units", "slots")
TEXT = b"the quick brown fox jumps over the lazy dog, and then back again"


class Places:
    """The addresses of the records of each kind: {area: [(address, length)]}."""

    def __init__(self, held):
        self.table = document.Table(held.read, looking.ask("tm-info", held)["table_address"])
        self.copies = {}  # how far a record's copy is from it
        self.areas = {name: self.records(name) for name in AREAS[:-2]}
        addresses = [row["address"] for row in looking.ask(BLOCKS, held)["traces"] if row["domain"] == 0]
        units = {address >> self.table.root["unit_shift"] for address in addresses if address % 16 == 0}
        self.areas["units"] = [(self.table.unit_place(unit), 16) for unit in sorted(units)]
        self.grids = {unit: self.table.words(unit)[0] for unit in units}
        self.unit_at = {self.table.unit_place(unit): unit for unit in units}
        self.copies.update((place, 16 * self.table.value["TM_LEAF_UNITS"]) for place, _ in self.areas["units"])
        self.areas["slots"] = [(place, 4) for unit in sorted(units) for _, _, _, place in self.table.blocks_of(unit)]

    def records(self, name):
        array = self.table.array(name)
        sizes = {"bytes": 1, "strings": 16, "codes": 48, "nodes": 16, "sites": 16, "leaves": 24, "tracked": 32}
        numbers = range(1, array["count"])
        self.copies.update((self.table.place(array, n), self.table.copy_distance(array, n)) for n in numbers)
        return [(self.table.place(array, number), sizes[name]) for number in numbers]


@pytest.fixture(scope="module")
def places(small):
    return Places(small)


def scribble(chosen, held, place, length):
    """A random patch (address, bytes) in a record, or across its end."""
    kind = chosen.choice(("bit", "byte", "word", "zeros", "address", "text"))
    at = place + chosen.randrange(length)
    if kind == "bit":
        return at, bytes([held.read(at, 1)[0] ^ 1 << chosen.randrange(8)])
    if kind == "byte":
        return at, bytes([chosen.randrange(256)])
    data = {
        "word": struct.pack("<Q", chosen.getrandbits(64)),
        "zeros": bytes(8),
        "address": struct.pack("<Q", 0x7F0000000000 + 16 * chosen.getrandbits(36)),
        "text": TEXT[: chosen.choice((8, 16, 40, 64))],
    }
    return at & ~7, data[kind]


def is_noticed(answer):
    return any(answer["missing"].values()) or bool(answer.get("in_flight"))


def is_unit_believed(held, places):
    """Whether a grid's word that the patch changed has the right check by chance: the check has 11 bits."""
    at, data = held.patch
    table = places.table
    for place, unit in places.unit_at.items():
        if place < at + len(data) and at < place + 8:
            word = table.number(place, 8)
            if word != places.grids[unit] and word and table.is_checked_grid(unit, word):
                return True
    return False


def is_node_believed(held, places):
    """Whether a node that the patch changed has the right hash by chance: the hash has 16 bits."""
    at, data = held.patch
    for number, (place, length) in enumerate(places.areas["nodes"], start=1):
        if place < at + len(data) and at < place + length:
            node = places.table.record_at("tm_node", place)
            second, held.patch, held.second = held.second, None, None
            was = places.table.record_at("tm_node", place)
            held.patch, held.second = (at, data), second
            if node != was and node["hash"] == document.node_hash(number, node):
                return True
    return False


@light(lambda area: area in ("nodes", "slots"))
@pytest.mark.parametrize("area", AREAS)
def test_no_overwritten_record_makes_a_wrong_row_silently(small, places, area):
    chosen = random.Random(area)
    whole = {question: looking.ask(question, small) for question in QUESTIONS}
    truth = {question: rows(whole[question]) for question in QUESTIONS}
    seen = collections.Counter()
    for turn in range(TRIES):
        small.patch = small.second = None
        place, length = chosen.choice(places.areas[area])
        small.patch = scribble(chosen, small, place, length)
        copy = places.copies.get(place, 0)
        if copy and turn % 2:  # the copy too, or the record would be taken from it
            small.second = small.patch[0] + copy, small.patch[1]
            copy = 0
        if area == "nodes" and is_node_believed(small, places):
            continue
        if area == "units" and is_unit_believed(small, places):
            continue
        for question in QUESTIONS:
            answer = looking.ask(question, small)
            found = rows(answer)
            case = (area, hex(small.patch[0]), small.patch[1].hex(), question)
            seen["asked"] += 1
            if area == "slots" and not small.is_full:
                continue  # it need not be noticed, but must do no harm
            if copy:
                # Where there was no word there is no copy to take: the damage is noticed, and costs nothing.
                assert found == truth[question] and (area == "units" or not is_noticed(answer)), case
                continue
            check_partial(answer, whole[question])
            # A block is nothing but its slot: the counters do not show which slot is wrong.
            assert found <= truth[question] or (area == "slots" and question == BLOCKS), (case, found - truth[question])
            if found != truth[question]:
                assert is_noticed(answer), case
                assert verdict(small) == "damaged", case
                seen["noticed"] += 1
    small.patch = small.second = None
    print(area, dict(seen))
    assert seen["noticed"] >= TRIES // 8 or (area == "slots" and not small.is_full)


def test_overwritten_counters_of_bytes_are_noticed_and_all_by_tm_verify(small, places):
    if not small.is_full:
        pytest.skip("the lean profile has no counters")
    chosen = random.Random("counters")
    truth = {question: rows(looking.ask(question, small)) for question in QUESTIONS}
    array = places.table.array("counters")
    records = [places.table.place(array, number) for number in range(1, array["count"])]
    live = [place for place in records if struct.unpack("<Q", small.read(place, 8))[0]]
    for n in range(TRIES):
        small.patch = None
        field = (0, 8, 16, 24)[n % 4]
        at = chosen.choice(live) + field
        small.patch = at, struct.pack("<Q", struct.unpack("<Q", small.read(at, 8))[0] ^ 1 << chosen.randrange(40))
        for question in QUESTIONS:
            answer = looking.ask(question, small)
            if rows(answer) != truth[question]:
                assert field in (0, 16) or is_noticed(answer), (hex(at), field, question)
        assert verdict(small, "--strict") == "damaged", (hex(at), field)
    small.patch = None

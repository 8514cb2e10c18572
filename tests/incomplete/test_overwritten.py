"""Records that the program has overwritten: an answer is right, or it says that something is wrong.

Strategy: as with pages of zeros, but a bit, a byte, a word or a few words change at random places of each kind of
record. They become what a wild pointer leaves: numbers, addresses, texts, zeros. The answers without the patch are the
truth.

A site's counters have no hash. Their bytes are compared with the table's totals and, by tm-traces, with the blocks. A
wrong count of blocks is not seen by tm-top, which has only the site's count; tm-verify reports it. TM_TEST_FULL=1 in
the environment tries more.
"""

import collections
import os
import random
import struct
import sys

import looking
import pytest
from patched import BLOCKS, QUESTIONS, rows, verdict
from selection import light

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "layout"))
import document  # noqa: E402

TRIES = 400 if os.environ.get("TM_TEST_FULL") else 25
AREAS = ("bytes", "strings", "codes", "nodes", "sites", "tracked", "slots")
TEXT = b"the quick brown fox jumps over the lazy dog, and then back again"


class Places:
    """The addresses of the records of each kind: {area: [(address, length)]}."""

    def __init__(self, held):
        self.table = document.Table(held.read, looking.ask("tm-info", held)["table_address"])
        self.areas = {name: self.records(name) for name in AREAS[:-1]}
        addresses = [row["address"] for row in looking.ask(BLOCKS, held)["traces"] if row["domain"] == 0]
        self.areas["slots"] = [(self.slot_place(address), 8) for address in addresses if address % 16 == 0]

    def records(self, name):
        array = self.table.array(name)
        sizes = {"bytes": 1, "strings": 16, "codes": 48, "nodes": 16, "sites": 16, "tracked": 32}  # sites: no counters
        return [(self.table.place(array, number), sizes[name]) for number in range(1, array["count"])]

    def slot_place(self, address):
        leaf = self.table.entry(address) & ~self.table.value["TM_LEAF_PARTS_MASK"]
        return leaf + 4 * (address >> 4 & 0xFFFF)


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


def is_believed(held, places):
    """Whether a node that the patch changed has the right hash by chance: the hash has 16 bits."""
    at, data = held.patch
    for number, (place, length) in enumerate(places.areas["nodes"], start=1):
        if place < at + len(data) and at < place + length:
            node = places.table.record_at("tm_node", place)
            held.patch = None
            was = places.table.record_at("tm_node", place)
            held.patch = at, data
            if node != was and node["hash"] == document.node_hash(number, node):
                return True
    return False


@light(lambda area: area in ("nodes", "slots"))
@pytest.mark.parametrize("area", AREAS)
def test_no_overwritten_record_makes_a_wrong_row_silently(small, places, area):
    chosen = random.Random(area)
    truth = {question: rows(looking.ask(question, small)) for question in QUESTIONS}
    seen = collections.Counter()
    for _ in range(TRIES):
        small.patch = None
        small.patch = scribble(chosen, small, *chosen.choice(places.areas[area]))
        if area == "nodes" and is_believed(small, places):
            continue
        for question in QUESTIONS:
            answer = looking.ask(question, small)
            found = rows(answer)
            case = (area, hex(small.patch[0]), small.patch[1].hex(), question)
            # A block is nothing but its slots: the counters do not show which slot is wrong.
            assert found <= truth[question] or (area == "slots" and question == BLOCKS), (case, found - truth[question])
            if found != truth[question]:
                assert is_noticed(answer), case
                assert verdict(small) == "damaged", case
                seen["noticed"] += 1
            seen["asked"] += 1
    small.patch = None
    print(area, dict(seen))
    assert seen["noticed"] >= TRIES // 4


def test_overwritten_counters_of_bytes_are_noticed_and_all_by_tm_verify(small, places):
    chosen = random.Random("counters")
    truth = {question: rows(looking.ask(question, small)) for question in QUESTIONS}
    live = [place for place, _ in places.areas["sites"] if struct.unpack("<Q", small.read(place + 16, 8))[0]]
    for n in range(TRIES):
        small.patch = None
        field = (16, 24, 32, 40)[n % 4]
        at = chosen.choice(live) + field
        small.patch = at, struct.pack("<Q", struct.unpack("<Q", small.read(at, 8))[0] ^ 1 << chosen.randrange(40))
        for question in QUESTIONS:
            answer = looking.ask(question, small)
            if rows(answer) != truth[question]:
                assert field in (16, 32) or is_noticed(answer), (hex(at), field, question)
        assert verdict(small, "--strict") == "damaged", (hex(at), field)
    small.patch = None

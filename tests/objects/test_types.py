"""Types: each block with an object has that object's type, and the sums by type are those by line."""

import collections
import json

import debuggers
import pytest
from object_programs import command_line, in_blocks
from selection import is_newest, light

pytestmark = light(lambda any_python: is_newest(any_python))

# What the forked child made or changed itself, in memory that is free in its parent; and a type of 3.8 and 3.9 that CPython
# never makes ready, so that nothing tells it from other memory.
OF_THE_CHILD = {"_thread.lock", "_thread.RLock", "str", "list", "tuple", "dict", "builtin_function_or_method", "int"}
NEVER_READY = {"functools._lru_list_elem"}


def ask(kinds, *commands, debugger="gdb"):
    return debuggers.answers(debugger, list(commands), program=kinds.python, core=kinds.core)


@pytest.fixture(scope="module")
def found(kinds, tmp_path_factory):
    """tm-find's rows of all objects by address, and the whole answer."""
    path = tmp_path_factory.mktemp("found") / "found.json"
    ask(kinds, "tm-find --type * -n 100000000 --json --output %s" % path)
    with open(path) as file:
        answer = json.load(file)
    return {row["address"]: row for row in answer["objects"]}, answer


def test_every_object_has_its_type(kinds, found):
    rows, answer = found
    traced = in_blocks(answer["objects"], kinds.truth.types)
    assert len(traced) > 30000 and answer["blocks_unreadable"] == 0
    wrong = collections.Counter()
    for address in traced:
        type_ = rows.get(address, {}).get("type")
        if type_ != kinds.truth.types[address]:
            wrong[kinds.truth.types[address], type_] += 1
    unexplained = {pair: count for pair, count in wrong.items() if pair[0] not in OF_THE_CHILD | NEVER_READY}
    assert not unexplained
    assert sum(count for pair, count in wrong.items() if pair[0] in OF_THE_CHILD) <= 5


def test_every_kind_is_there_with_its_value(kinds, found):
    """repr() of exact built-in types, as far as it fits; else the type and the address."""
    rows, _ = found
    plain = {"int", "float", "str", "bytes", "bool"}
    for kind, (address, type_, text) in kinds.known.items():
        row = rows[address]
        assert row["type"] == type_, kind
        if type_ in plain and not row["truncated"] and not row["value"].startswith(("0x", "-0x")):
            assert row["value"] == text, kind
        elif type_ in ("tuple", "list", "dict", "frozenset") and "..." not in row["value"]:
            assert row["value"] == text, kind
        elif type_ not in plain | {"set", "list", "dict", "tuple", "frozenset", "function", "code", "type", "module"}:
            assert row["value"] == "%s object at %#x" % (type_, address), kind
    large = kinds.known["large int"]
    assert rows[large[0]]["value"] == hex(int(large[2]))


def test_sums_by_type_are_those_by_line(kinds):
    by_type, by_line, both, one = [
        json.loads(text)
        for text in ask(
            kinds,
            "tm-top type -n 100000 --json",
            "tm-top lineno -n 100000 --json",
            "tm-top type,lineno -n 100000 --json",
            "tm-top lineno --type dict -n 100000 --json",
        )
    ]
    assert by_type["total_size"] == by_line["total_size"] == both["total_size"]
    for answer in (by_type, both):
        assert sum(row["size"] for row in answer["statistics"]) == answer["total_size"]
    rows = {row["type"]: row for row in by_type["statistics"]}
    assert rows["<block>"]["count"] == by_type["not_objects"]["count"]
    assert rows["<block>"]["size"] == by_type["not_objects"]["size"]
    assert by_type["types_unnamed"] == 0
    dicts = [row for row in both["statistics"] if row["type"] == "dict"]
    assert sum(row["size"] for row in dicts) == rows["dict"]["size"] == one["total_size"]
    assert {(row["filename"], row["lineno"], row["size"]) for row in dicts} == {
        (row["filename"], row["lineno"], row["size"]) for row in one["statistics"]
    }


def test_parts_count_with_their_owners(kinds, found):
    rows, _ = found
    for kind, smallest in (("large dict", 1000 * 16), ("large set", 1000 * 16)):
        assert rows[kinds.known[kind][0]]["parts_size"] >= smallest, kind
    (lists,) = ask(kinds, "tm-find --type list -n 100000 --json")
    by_address = {row["address"]: row for row in json.loads(lists)["objects"]}
    assert by_address and all(row["parts_size"] == 0 or row["parts_size"] >= 8 for row in by_address.values())


def test_attributes_select_objects(kinds):
    commands = [
        "tm-find --type __main__.Plain --attr number=7 --json",
        "tm-find --type __main__.Plain --attr label=label7 --json",
        "tm-find --type __main__.Slotted --attr left=left7 --json",
        "tm-find --type *.Plain --attr nothing --json",
    ]
    number, label, left, nothing = [json.loads(text) for text in ask(kinds, *commands)]
    assert number["total_count"] == label["total_count"] == 2 and left["total_count"] == 1
    assert [row["address"] for row in number["objects"]] == [row["address"] for row in label["objects"]]
    assert nothing["total_count"] == 0


def test_traces_of_a_type_are_its_blocks(kinds):
    traces, objects = [
        json.loads(text)
        for text in ask(kinds, "tm-traces --type *Plain -n 1000 --json", "tm-find --type *Plain -n 1000 --json")
    ]
    assert traces["total_size"] == objects["total_size"] > 0


def test_it_is_the_same_everywhere(kinds):
    address = kinds.known["both"][0]
    commands = ["tm-top type", "tm-top type,lineno -n 5", "tm-object %#x" % address, "tm-find --type *Both -n 3"]
    commands += [command + " --json" for command in commands]
    texts = {
        (debugger, kind): debuggers.answers(debugger, commands, **where)
        for debugger in debuggers.DEBUGGERS
        for kind, where in (("core", {"program": kinds.python, "core": kinds.core}), ("live", {"pid": kinds.pid}))
    }
    first, *others = texts.values()
    for other in others:
        assert other == first
    assert [command_line(kinds.core, command) for command in commands] == first

"""tm-object: what it shows of an object is what the program says, wherever the address is inside its block."""

import json

import debuggers
import pytest
from selection import is_newest, light

pytestmark = light(lambda any_python: is_newest(any_python))


@pytest.fixture(scope="module")
def shown(kinds):
    """tm-object's answer for each kind."""
    names = sorted(kinds.known)
    commands = ["tm-object --json -n 1000 %#x" % kinds.known[name][0] for name in names]
    texts = debuggers.answers("gdb", commands, program=kinds.python, core=kinds.core)
    return dict(zip(names, map(json.loads, texts)))


def values(answer, name):
    return {item[name]: item["value"] for item in answer["items"] if name in item}


def test_types_and_references(kinds, shown):
    for kind, (address, type_, _) in kinds.known.items():
        assert shown[kind]["address"] == address and shown[kind]["type"] == type_, kind
        assert shown[kind]["immortal"] or 0 < shown[kind]["refcount"] < 10000, kind
        assert shown[kind]["block"]["size"] == shown[kind]["size"], kind
        assert shown[kind]["traceback"][-1]["filename"], kind


def test_attributes_of_every_kind_of_class(shown):
    assert values(shown["plain"], "attribute") == {"number": "0", "label": "'label0'"}
    assert values(shown["plain with dict"], "attribute") == {"number": "0", "label": "'label0'"}
    assert values(shown["its dicts"], "key") == {"'number'": "0", "'label'": "'label0'"}
    assert values(shown["slotted"], "attribute") == {"left": "'left0'", "right": "[0]"}
    assert values(shown["both"], "attribute") == {"left": "'left0'", "right": "[0]", "extra": "['left0', [...]]"}
    for kind in ("mydict", "mylist", "mystr", "myint", "mytuple"):
        assert values(shown[kind], "attribute")["attribute"] == "'of a subclass'", kind
    assert values(shown["mydict"], "key") == {"'a'": "0"}
    assert values(shown["namespace"], "attribute") == {"a": "0"}


def test_items_of_containers(shown):
    assert [item["index"] for item in shown["tuple"]["items"]] == [0, 1]
    assert values(shown["tuple"], "index") == {0: "0", 1: "'0'"}
    assert values(shown["dict"], "key") == {"'number'": "0", "0": "'by number'"}
    assert {item["value"] for item in shown["set"]["items"]} == {"'a0'", "'b0'"}
    large = values(shown["large dict"], "key")
    assert len(large) == 1000 and large["'key 999'"] == "999.25" and shown["large dict"]["length"] == 1000
    assert {item["value"] for item in shown["large set"]["items"]} == {"'item %d'" % i for i in range(1000)}
    assert shown["large set"]["items_total"] == 1000
    assert values(shown["bounded deque"], "index") == {i: "'e%d'" % (990 + i) for i in range(10)}
    assert values(shown["ordereddict"], "key") == {"'a'": "0", "'b'": "'0'"}
    assert values(shown["namedtuple"], "index") == {0: "0", 1: "'0'"}


def test_values(kinds, shown):
    for kind in ("float", "str", "latin", "wide", "astral", "bytes", "tuple", "list", "dict"):
        text = kinds.known[kind][2]
        if kind == "list":
            text = "[0, [...]]"
        assert shown[kind]["value"] == text, kind
    assert shown["closure"]["value"].startswith("function closure.<locals>.inner at ")
    assert shown["class"]["value"] == "class __main__.Made0"
    assert shown["module"]["value"] == "module made0"
    assert shown["code"]["value"] == "code <module> at <made>:1"


def test_an_address_inside_a_block_means_its_object(kinds):
    address = kinds.known["slotted"][0]
    texts = debuggers.answers(
        "gdb", ["tm-object %#x" % address, "tm-object %#x" % (address + 17)], program=kinds.python, core=kinds.core
    )
    first, *rest = texts[0].splitlines()
    assert texts[1].splitlines() == [first, "  %#x is in its block, 17 bytes into it" % (address + 17)] + rest


def test_what_is_no_object_is_called_so(kinds):
    (ints,) = debuggers.answers("gdb", ["tm-find --type '<block>' -n 1 --json"], program=kinds.python, core=kinds.core)
    block = json.loads(ints)["objects"][0]["address"]
    run = debuggers.run_gdb(["tm-object %#x" % block, "tm-object 16"], program=kinds.python, core=kinds.core)
    assert "no object is known at 0x10" in run.stderr
    assert "no object begins in it" in run.stdout

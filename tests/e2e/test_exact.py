"""Counts, sizes and tracebacks are exact: programs/known.py under every CPython found."""

import json
import re

import debuggers
import pytest
from e2e_programs import program
from selection import is_newest, is_one_of_its_version, light

pytestmark = light(lambda any_python: is_one_of_its_version(any_python))

ROW = re.compile(r"(\d+) x (\d+)")


def expected():
    """{line: (size, count)} for every line of known.py that has a claim, and the lines whose blocks are gone."""
    claims, gone = {}, set()
    with open(program("known.py")) as file:
        for number, line in enumerate(file, 1):
            comment = line.partition("#")[2]
            if line.startswith(" ") and ROW.search(comment):
                parts = [(int(count), int(size)) for count, size in ROW.findall(comment)]
                claims[number] = (sum(count * size for count, size in parts), sum(count for count, _ in parts))
            elif comment.strip() == "gone":
                gone.add(number)
    assert len(claims) >= 10 and len(gone) >= 3
    return claims, gone


def lines_of(text, script):
    answer = json.loads(text)
    return {
        row["lineno"]: (row["size"], row["count"]) for row in answer["statistics"] if row["filename"] == script
    }, answer


TOP = "tm-top lineno --limit 100000 --json"


@light(lambda any_python, debugger, where: is_newest(any_python) or (debugger, where) == ("gdb", "core"))
@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
@pytest.mark.parametrize("where", ["live", "core"])
def test_each_line_has_exactly_what_it_allocated(known, known_core, debugger, where):
    target = {"pid": known.pid} if where == "live" else {"core": known_core, "program": known.python}
    rows, answer = lines_of(debuggers.answers(debugger, [TOP], **target)[0], known.script)
    claims, gone = expected()
    assert {line: rows.get(line) for line in claims} == claims
    assert not gone & set(rows)
    assert answer["total_size"] == sum(row["size"] for row in answer["statistics"])
    assert answer["total_count"] == sum(row["count"] for row in answer["statistics"])


@pytest.fixture(scope="module")
def said(known):
    """What one gdb says of the process: the answers of tm-info, of TOP, of the target's address, and of INSIDE."""
    addresses = [known.target] + [known.big + offset for offset in INSIDE]
    commands = ["tm-info --json", TOP] + ["tm-traceback --json 0x%x" % address for address in addresses]
    return [json.loads(text) for text in debuggers.answers("gdb", commands, pid=known.pid)]


INSIDE = [0, 1, 16, (1 << 20) + 5, (3 << 20) - 1]  # of the big block


def test_an_object_is_found_with_its_whole_traceback(known, said):
    (block,) = said[2]["blocks"]
    assert block["address"] <= known.target < block["address"] + block["size"]
    assert (block["size"], block["domain"]) == (1000, 0)
    frames = [(frame["filename"], frame["lineno"]) for frame in block["traceback"]]
    source = open(known.script).read().splitlines()
    assert [name for name, _ in frames] == [known.script] * 3
    assert [source[line - 1].split("#")[0].strip() for _, line in frames] == [
        "main()",
        "allocate()",
        "objects[0][i] = bytes(1000 - HEAD)",
    ]


def test_any_byte_of_a_block_leads_to_it(known, said):
    assert len(said[3:]) == len(INSIDE)
    for answer in said[3:]:
        (block,) = answer["blocks"]
        assert (block["address"], block["size"]) == (known.big, 3 << 20)
        assert block["traceback"][-1]["filename"] == known.script


def test_the_info_is_that_of_the_process(known, said):
    info, top = said[:2]
    assert info["pid"] == known.pid == known.said_pid
    assert info["traceback_limit"] == 25
    assert info["lost_blocks"] == info["lost_frames"] == 0
    assert (info["blocks"], info["traced_memory"]) == (top["total_count"], top["total_size"])

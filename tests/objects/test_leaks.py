"""tm-leaks finds what a program leaks on purpose, each kind in its own list and at its line, and hardly anything else;
tm-holders finds what holds the leaks of the field.
"""

import json
import re

import debuggers
import pytest
from object_programs import command_line, program
from selection import is_newest, light

pytestmark = light(lambda any_python: is_newest(any_python))

SCRIPT = program("leaks.py")
with open(SCRIPT) as source:
    LINES = {
        comment: number for number, line in enumerate(source, 1) for comment in re.findall(r"  # ([a-z ]+)$", line)
    }

# What other programs have too: CPython's own. A module that is made twice at the start (3.8), code and types of the standard
# library that are decorated or replaced, and that a collection would free.
KNOWN_ELSEWHERE = {"lost": {("module", 0)}, "extra": {("module", 0)}, "raw": set()}


@pytest.fixture(scope="module")
def leaking(any_python, tmp_path_factory):
    with debuggers.start_traced_process(any_python, SCRIPT, frames=5, preload=True) as process:
        process.python = any_python
        process.held = {name: int(value) for name, value in (pair.split("=") for pair in process.first_line.split())}
        process.core = debuggers.gcore(process.pid, tmp_path_factory.mktemp("leaks") / "core")
        commands = ["tm-leaks -n 1000 --json"]
        commands += ["tm-holders --json %#x" % address for address in process.held.values()]
        texts = debuggers.answers("gdb", commands, program=any_python, core=process.core)
        process.leaks, *paths = map(json.loads, texts)
        process.paths = dict(zip(process.held, paths))
        yield process


def rows(leaking, kind):
    """{(type, line of the script): count} of a list, and the rows of other files."""
    mine, others = {}, []
    for row in leaking.leaks[kind]["statistics"]:
        if row["filename"] == SCRIPT:
            mine[row["type"], row["lineno"]] = row["count"]
        else:
            others.append((row["type"], row["lineno"]))
    return mine, others


def test_lost_references_are_found(leaking):
    mine, others = rows(leaking, "lost")
    wanted = [("dict", "lost dict"), ("bytes", "lost bytes")]
    wanted += [("__main__.Plain", "lost plain"), ("__main__.Slotted", "lost slotted")]
    assert mine == {(type_, LINES[comment]): 1000 for type_, comment in wanted}
    assert set(others) <= KNOWN_ELSEWHERE["lost"]
    assert leaking.leaks["lost"]["held_count"] >= 4000
    for row in leaking.leaks["lost"]["statistics"]:
        assert row["excess"] == 1


def test_raw_blocks_are_found(leaking):
    mine, others = rows(leaking, "raw")
    blocks = {"<block>"}
    assert {type_ for type_, _ in mine} == blocks and len(mine) == 2
    # Memory that is not cleared has stale pointers: some are held by others, and one in a hundred by memory of C.
    found = sum(mine.values()) + leaking.leaks["raw"]["held_count"]
    assert mine["<block>", LINES["raw block"]] > 950 and mine["<block>", LINES["mem block"]] > 970
    assert found >= 1970
    assert set(others) <= KNOWN_ELSEWHERE["raw"]


def test_garbage_is_what_a_collection_would_free(leaking):
    mine, _ = rows(leaking, "garbage")
    for type_, comment in (("dict", "cycle"), ("list", "cycle"), ("__main__.Slotted", "weakly known")):
        assert mine.pop((type_, LINES[comment])) == 1000, (type_, comment)
    # The numbers in the cycles; CPython keeps the small ones.
    assert set(type_ for type_, _ in mine) <= {"int"}


def test_extra_references_are_found(leaking):
    mine, others = rows(leaking, "extra")
    assert list(mine) == [("dict", LINES["extra dict"])] and mine["dict", LINES["extra dict"]] >= 985
    assert len(others) <= 3
    assert leaking.paths["extra"]["refcount"] == 2 and leaking.paths["extra"]["found"] in (1, 2)


def test_nothing_is_suspect_in_a_whole_core(leaking):
    assert not leaking.leaks["suspect"] and not leaking.leaks["threads_unknown"] and not leaking.leaks["frames_unknown"]


def labels(path):
    return "".join(step["label"] for step in path["path"])


def test_leaks_of_the_field_are_held_by_what_holds_them(leaking):
    paths = leaking.paths
    for name in ("lru_cache", "traceback", "handler", "closure", "task", "extra"):
        assert paths[name]["held"] and paths[name]["root"] == "module __main__", name
        assert paths[name]["path"][-1]["address"] == leaking.held[name], name
    assert "['rendered']" in labels(paths["lru_cache"]) and labels(paths["lru_cache"]).endswith("[0]")
    assert labels(paths["traceback"]).endswith(".__traceback__.tb_frame local payload")
    assert "['changed']" in labels(paths["handler"]) and labels(paths["handler"]).endswith("[0].__self__")
    assert "handlers" in labels(paths["handler"])
    assert labels(paths["closure"]).endswith("['registry']['callback'].__closure__[0].cell_contents")
    assert labels(paths["task"]).endswith("local payload") and "['tasks'] item" in labels(paths["task"])
    assert labels(paths["extra"]).endswith("['extra'][500]")


def test_a_local_variable_is_named_with_its_function(leaking):
    path = leaking.paths["local"]
    text = path["root"] + labels(path)
    assert "local only_here" in text
    assert path["retained_count"] == 2 and path["path"][-1]["address"] == leaking.held["local"]


def test_it_is_the_same_everywhere(leaking):
    commands = [
        "tm-leaks -n 5",
        "tm-holders %#x" % leaking.held["handler"],
        "tm-holders -d %#x" % leaking.held["extra"],
    ]
    commands += [command + " --json" for command in commands]
    first, other = [
        debuggers.answers(debugger, commands, program=leaking.python, core=leaking.core)
        for debugger in debuggers.DEBUGGERS
    ]
    assert first == other
    assert [command_line(leaking.core, command) for command in commands] == first
    (live,) = debuggers.answers("gdb", ["tm-leaks -n 1000 --json"], pid=leaking.pid)
    live = json.loads(live)
    for kind in ("lost", "garbage"):
        assert live[kind]["count"] == leaking.leaks[kind]["count"], kind

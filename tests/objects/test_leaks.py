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
COUNT = 1000  # of each kind, in the script
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
    # (One or two may be held by what is stale on the stack of a C function.)
    assert set(mine) == {(type_, LINES[comment]) for type_, comment in wanted}
    assert all(0.995 * COUNT <= count <= COUNT for count in mine.values()), mine
    assert set(others) <= KNOWN_ELSEWHERE["lost"]
    assert leaking.leaks["lost"]["held_count"] >= 4000
    for row in leaking.leaks["lost"]["statistics"]:
        assert row["excess"] == 1


def test_raw_blocks_are_found(leaking):
    mine, others = rows(leaking, "raw")
    blocks = {"<block>"}
    assert {type_ for type_, _ in mine} == blocks and len(mine) == 2
    # Memory that is not cleared has stale pointers: some are held by others, and a few by memory of C.
    found = sum(mine.values()) + leaking.leaks["raw"]["held_count"]
    assert mine["<block>", LINES["raw block"]] > 950 and mine["<block>", LINES["mem block"]] > 970
    assert found >= 1970
    assert set(others) <= KNOWN_ELSEWHERE["raw"]


def test_nothing_holds_raw_blocks(leaking):
    """Not memory of C that has stale pointers, either: its blocks in use are searched as blocks."""
    filters = " ".join("--include *leaks.py:%d" % LINES[line] for line in ("raw block", "mem block"))
    answer = json.loads(command_line(leaking.core, "tm-holders %s --json" % filters))
    assert answer["count"] >= 2 * COUNT and answer["unheld"]["count"] >= 0.99 * 2 * COUNT


def test_garbage_is_what_a_collection_would_free(leaking):
    mine, _ = rows(leaking, "garbage")
    for type_, comment in (("dict", "cycle"), ("list", "cycle"), ("__main__.Slotted", "weakly known")):
        assert mine.pop((type_, LINES[comment])) == 1000, (type_, comment)
    # The numbers in the cycles; CPython keeps the small ones.
    assert set(type_ for type_, _ in mine) <= {"int"}


def test_extra_references_are_found(leaking):
    mine, others = rows(leaking, "extra")
    assert 0.98 * COUNT <= mine.pop(("dict", LINES["extra dict"])) <= COUNT
    assert sum(mine.values()) <= 5, mine  # lost ones that something stale holds
    assert len(others) <= 3
    assert leaking.paths["extra"]["refcount"] == 2 and leaking.paths["extra"]["found"] in (1, 2)


def test_leaks_are_found_behind_the_debug_hooks(leaking, tmp_path):
    """Their words before and behind each block are no blocks of their own, and hold nothing."""
    hooks = {"PYTHONMALLOC": "debug"}
    with debuggers.start_traced_process(leaking.python, SCRIPT, frames=5, environment=hooks, preload=True) as process:
        core = debuggers.gcore(process.pid, tmp_path / "core")
    leaks = json.loads(command_line(core, "tm-leaks -n 1000 --json"))
    counts = {
        kind: {
            (row["type"], row["lineno"]): row["count"] for row in leaks[kind]["statistics"] if row["filename"] == SCRIPT
        }
        for kind in ("lost", "raw", "garbage", "extra")
    }
    for kind, type_, line in (
        ("lost", "dict", "lost dict"),
        ("lost", "__main__.Plain", "lost plain"),
        ("raw", "<block>", "raw block"),
        ("raw", "<block>", "mem block"),
        ("garbage", "list", "cycle"),
        ("garbage", "__main__.Slotted", "weakly known"),
        ("extra", "dict", "extra dict"),
    ):
        assert counts[kind].get((type_, LINES[line]), 0) >= 0.98 * COUNT, (kind, line, counts)


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


def test_other_paths_lead_through_other_things(leaking):
    address = leaking.held["extra"]
    (text,) = debuggers.answers(
        "gdb", ["tm-holders --paths 9 --json %#x" % address], program=leaking.python, core=leaking.core
    )
    answer = json.loads(text)
    paths = [answer] + answer.get("other_paths", [])
    assert answer["paths_total"] == len(paths) and answer["path"] == leaking.paths["extra"]["path"]
    before_last = [path["path"][-2]["address"] if len(path["path"]) > 1 else None for path in paths]
    assert len(set(before_last)) == len(paths)
    assert {path["path"][-1]["address"] for path in paths} == {address}


def test_paths_of_many_objects_are_counted_together(leaking):
    commands = ["tm-holders --type dict -n 100000 --json", "tm-holders --type *.Subscriber --json"]
    commands += ["tm-find --type dict --json", "tm-holders --include *leaks.py:%d --json" % LINES["extra dict"]]
    dicts, subscriber, found, line = map(
        json.loads, debuggers.answers("gdb", commands, program=leaking.python, core=leaking.core)
    )
    assert (dicts["count"], dicts["size"]) == (found["total_count"], found["total_size"])
    for answer in (dicts, subscriber, line):
        for unit in ("count", "size"):
            assert sum(row[unit] for row in answer["paths"]) + answer["unheld"][unit] == answer[unit]
        assert answer["retained_size"] >= answer["size"] and not answer["suspect"]
    rows = {row["path"]: row for row in dicts["paths"]}
    assert rows["module __main__.extra[*]"]["count"] == COUNT
    assert dicts["unheld"]["count"] >= 2 * COUNT  # lost ones, and those in cycles
    (only,) = subscriber["paths"]
    assert only["path"] == "module __main__.changed.handlers[*].__self__"
    assert only["example"] == leaking.held["handler"]
    assert {row["path"]: row["count"] for row in line["paths"]}["module __main__.extra[*]"] == COUNT


def test_retained_sizes_are_those_of_a_graph_without_the_row(leaking):
    commands = ["tm-top type --retained -n 8 --json", "tm-holders --type dict --json", "tm-top type -n 8 --json"]
    commands += ["tm-top lineno --retained -n 3 --json"]
    by_type, dicts, plain, by_line = map(
        json.loads, debuggers.answers("gdb", commands, program=leaking.python, core=leaking.core)
    )
    rows = {row["type"]: row for row in by_type["statistics"]}
    assert [row["type"] for row in plain["statistics"]] == list(rows)
    assert rows["dict"]["retained_size"] == dicts["retained_size"]
    assert rows["dict"]["retained_count"] == dicts["retained_count"]
    assert rows["str"]["retained_size"] == rows["str"]["size"]  # strings hold nothing
    for row in by_type["statistics"] + by_line["statistics"]:
        assert row["retained_size"] >= row["size"]


def test_a_difference_by_type_says_what_grew(leaking, tmp_path):
    """From a program that has none of these types."""
    with debuggers.start_traced_process(
        leaking.python, program("waiting.py"), [str(tmp_path / "truth")], frames=5, preload=True
    ) as process:
        before = debuggers.gcore(process.pid, tmp_path / "before")
    commands = ["tm-diff %s type -n 100000 --json" % before, "tm-diff %s type,lineno -n 100000 --json" % before]
    by_type, by_line = map(json.loads, debuggers.answers("gdb", commands, program=leaking.python, core=leaking.core))
    (row,) = [row for row in by_type["statistics"] if row["type"] == "__main__.Plain"]
    assert row["count"] == row["count_diff"] == COUNT and row["size"] == row["size_diff"] > 0
    rows = {(row["type"], row["lineno"]): row["count_diff"] for row in by_line["statistics"]}
    assert rows["__main__.Slotted", LINES["lost slotted"]] == COUNT


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

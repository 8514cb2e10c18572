"""Several interpreters in a process: the objects of each have their types, and are held by their own modules."""

import json

import debuggers
from object_programs import command_line, program
from selection import is_newest, light


@light(lambda any_python: is_newest(any_python))
def test_objects_of_all_interpreters_are_held_by_their_modules(any_python, tmp_path):
    with debuggers.start_traced_process(any_python, program("several.py"), frames=5, preload=True) as process:
        core = debuggers.gcore(process.pid, tmp_path / "core")
    found = json.loads(command_line(core, "tm-find --type __main__.Inner -n 1000 --json"))
    assert found["total_count"] == 900 and len({row["type_address"] for row in found["objects"]}) == 3
    held = json.loads(command_line(core, "tm-holders --type __main__.Inner --json"))
    paths = {row["path"]: row["count"] for row in held["paths"]}
    assert held["unheld"]["count"] == 0
    assert paths.pop("module __main__.kept[*]") == 900 - 3
    assert paths == {"module __main__.item": 3}
    threads = json.loads(command_line(core, "tm-threads --json"))["threads"]
    assert 0 in {thread["interpreter"] for thread in threads}
    leaks = json.loads(command_line(core, "tm-leaks --json -n 1000"))
    assert not [row for kind in ("lost", "raw") for row in leaks[kind]["statistics"] if row["type"] == "__main__.Inner"]

"""objects() and holders() in the debuggers' Python are what tm-find and tm-holders say, as typed objects."""

import json

import debuggers
import pytest
from selection import is_newest, light

# Runs in the debugger; %(module)s is its module.
LOOK = """
import json, %(module)s as tm
known = %(known)r
plain = tm.objects("__main__.Plain")
seven = tm.objects("__main__.*", attribute="number=7")
first = tm.objects("*", limit=1)
held = tm.holders(known, paths=3)
assert all(type(thing.address) is int and thing.type == "__main__.Plain" for thing in plain)
assert held.paths[0].steps[-1].address == held.address == known
try:
    tm.holders(16)
    error = "none"
except Exception as problem:
    error = type(problem).__name__ + ": " + str(problem)
print("FOUND", json.dumps([plain, seven, first, held, error]))
"""
MODULES = {"gdb": "tm_gdb", "lldb": "tm_lldb"}


def run_in(debugger, code, script, commands=(), **target):
    script.write_text(code)
    run_script = {"gdb": "source %s", "lldb": "script exec(open('%s').read(), {'lldb': lldb})"}[debugger] % script
    run = debuggers.run_debugger(debugger, list(commands) + [run_script], **target)
    lines = [line[6:] for line in run.stdout.splitlines() if line.startswith("FOUND ")]
    assert run.status == 0 and len(lines) == 1, run.stdout + run.stderr
    return json.loads(lines[0])


@light(lambda any_python, debugger, live: is_newest(any_python) and not live)
@pytest.mark.parametrize("live", [False, True], ids=["core", "live"])
@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_they_are_what_the_commands_say(kinds, any_python, debugger, live, tmp_path):
    target = {"pid": kinds.pid} if live else {"program": kinds.python, "core": kinds.core}
    known = kinds.known["slotted"][0]
    commands = ["tm-find --type __main__.Plain -n 100000 --json", "tm-find --type __main__.* --attr number=7 --json"]
    commands += ["tm-holders --paths 3 --json %#x" % known]
    found, with_seven, path = map(json.loads, debuggers.answers(debugger, commands, **target))
    code = LOOK % {"module": MODULES[debugger], "known": known}
    # The session's filters do not apply: a script gets all objects.
    plain, seven, first, held, error = run_in(
        debugger, code, tmp_path / "look.py", ["tm-filter add --exclude '*'"], **target
    )

    def rows(answer):
        keys = ("address", "type", "value", "refcount", "size", "parts_size", "filename", "lineno")
        return [[row[key] for key in keys] + [row.get("name")] for row in answer["objects"]]

    assert plain == rows(found) and len(plain) > 5 and len(first) == 1
    assert seven == rows(with_seven) and len(seven) == 2
    paths = [[step["address"] for step in one["path"]] for one in [path] + path.get("other_paths", [])]
    assert [[step[1] for step in steps] for _, steps in held[5]] == paths
    assert held[:5] == [path[key] for key in ("address", "type", "value", "refcount", "found")]
    assert held[6:] == [path[key] for key in ("paths_total", "retained_size", "retained_count", "suspect")]
    assert "no live block contains 0x10" in error

"""take_snapshot() and get_object_traceback() in the debuggers' Python return real tracemalloc objects with the
commands' numbers.
"""

import json

import debuggers
import pytest
from selection import light

WAYS = [(debugger, kind) for debugger in debuggers.DEBUGGERS for kind in ("live", "core")]

# Runs in the debugger: prints the snapshot in the form of the commands' JSON. %s is the module.
LOOK = """
import json, tracemalloc, %(module)s as tm
def frames(traceback):
    return [{"filename": frame.filename, "lineno": frame.lineno} for frame in traceback]
snapshot = tm.take_snapshot()
assert type(snapshot) is tracemalloc.Snapshot
print("FOUND", json.dumps({
    "limit": snapshot.traceback_limit,
    "traces": [[t.domain, t.size, frames(t.traceback), t.traceback.total_nframe] for t in snapshot.traces],
    "tops": [[[frames(row.traceback), row.size, row.count] for row in snapshot.statistics(key)]
             for key in ("lineno", "filename", "traceback")],
}))
"""


def module_of(debugger):
    return {"gdb": "tm_gdb", "lldb": "tm_lldb"}[debugger]


def run_in(debugger, code, tmp_path, commands=(), **target):
    """Run commands and then code in a debugger's Python. Returns the lines that the code prints after FOUND."""
    script = tmp_path / "look.py"
    script.write_text(code)
    run_script = {"gdb": "source %s", "lldb": "script exec(open('%s').read(), {'lldb': lldb})"}[debugger] % script
    run = debuggers.run_debugger(debugger, list(commands) + [run_script], **target)
    assert run.status == 0 and "Traceback (" not in run.stderr, run.stdout + run.stderr
    return [line[6:] for line in run.stdout.splitlines() if line.startswith("FOUND ")]


def places(frames):
    """The frames as tracemalloc has them, without the function's name."""
    return [{"filename": frame["filename"], "lineno": frame["lineno"]} for frame in frames]


@pytest.fixture
def targets(newest, newest_core):
    return {"live": {"pid": newest.pid}, "core": {"core": newest_core, "program": newest.python}}


@light(lambda debugger, kind: (debugger, kind) == ("gdb", "live"))
@pytest.mark.parametrize("debugger, kind", WAYS)
def test_a_snapshot_is_what_the_commands_say(debugger, kind, targets, tmp_path):
    commands = ["tm-traces -s address -n 1000000 --json"]
    commands += ["tm-top %s -n 1000000 --json" % key for key in ("lineno", "filename", "traceback")]
    traces, *tops = (json.loads(text) for text in debuggers.answers(debugger, commands, **targets[kind]))
    # The session's filters do not apply: a script gets all traces.
    filters = ["tm-filter add --exclude '*'"]
    code = LOOK % {"module": module_of(debugger)}
    found = json.loads(run_in(debugger, code, tmp_path, filters, **targets[kind])[0])
    assert found["limit"] == 25
    wanted = [[t["domain"], t["size"], places(t["traceback"]), t["total_nframe"]] for t in traces["traces"]]
    assert found["traces"] == wanted
    for ours, theirs in zip(tops, found["tops"]):
        assert [[places(row["traceback"]), row["size"], row["count"]] for row in ours["statistics"]] == theirs
    assert len(found["traces"]) > 5000


@light(lambda debugger, kind: (debugger, kind) == ("lldb", "core"))
@pytest.mark.parametrize("debugger, kind", WAYS)
def test_the_traceback_of_an_address(debugger, kind, targets, newest, tmp_path):
    text = debuggers.answers(debugger, ["tm-traceback --json %d" % newest.target], **targets[kind])[0]
    (block,) = json.loads(text)["blocks"]
    values = {
        "gdb": "gdb.Value(address), gdb.Value(address).cast(gdb.lookup_type('char').pointer())",
        "lldb": "lldb.debugger.GetSelectedTarget().CreateValueFromExpression('v', '(unsigned long)%d' % address),"
        " lldb.debugger.GetSelectedTarget().CreateValueFromExpression('v', '(char *)%d' % address)",
    }[debugger]
    code = """
import json, tracemalloc, %s as tm
address = %d
for value in (address, address + 100, %s):
    traceback = tm.get_object_traceback(value)
    assert type(traceback) is tracemalloc.Traceback
    print("FOUND", json.dumps([traceback.total_nframe, [[f.filename, f.lineno] for f in traceback], traceback.format()]))
print("FOUND", tm.get_object_traceback(16), tm.get_object_traceback(-1))
""" % (
        module_of(debugger),
        newest.target,
        values,
    )
    found = run_in(debugger, code, tmp_path, **targets[kind])
    assert len(found) == 5 and found[-1] == "None None" and len(set(found[:4])) == 1
    total, frames, lines = json.loads(found[0])
    assert total == block["total_nframe"]
    assert frames == [[frame["filename"], frame["lineno"]] for frame in block["traceback"]]
    shown = debuggers.answers(debugger, ["tm-traceback --plain %d" % newest.target], **targets[kind])[0]
    assert shown.splitlines()[2:] == lines


ERRORS = """
import %(module)s as tm
for call in tm.take_snapshot, lambda: tm.get_object_traceback(1):
    try:
        call()
    except %(kind)s as error:
        print("FOUND", type(error).__name__, str(error).split("\\n")[0])
"""


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_errors_have_the_commands_words(debugger, python, tmp_path):
    names = {"gdb": ("gdb.GdbError", "GdbError"), "lldb": ("RuntimeError", "RuntimeError")}[debugger]
    code = ERRORS % {"module": module_of(debugger), "kind": names[0]}
    found = run_in(debugger, "import %s\n" % debugger + code, tmp_path)
    assert len(found) == 2 and all(line.startswith("%s no process and no core: " % names[1]) for line in found)
    script = tmp_path / "plain.py"
    script.write_text("import os, sys\nos.write(int(os.environ['TM_READY']), b'\\n')\nsys.stdin.read()\n")
    with debuggers.start_process([python.path, script]) as process:
        found = run_in(debugger, "import %s\n" % debugger + code, tmp_path, pid=process.pid)
    assert len(found) == 2 and all("records nothing" in line for line in found), found

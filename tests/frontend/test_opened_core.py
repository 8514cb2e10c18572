"""Answers come from the core or the process that the debugger has open, even if it or its name has changed since. If
that is impossible the command fails."""

import os
import shutil

import debuggers
import pytest
from selection import light

ASK = "tm-top -n 3"
OPEN = {"gdb": "core-file %s", "lldb": "target create --core %s"}
SHELL = {"gdb": "shell %s", "lldb": "script import os; os.system(%r)"}
NO_LONGER = "%s has been replaced or written to since it was opened\nOpen it again: %s"

both = pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)


@pytest.fixture
def mine(core, tmp_path):
    """A copy of the traced process's core."""
    shutil.copy(core, str(tmp_path / "core"))
    return str(tmp_path / "core")


@pytest.fixture(scope="session")
def expected(core):
    (text,) = debuggers.answers("gdb", [ASK], core=core)
    return text


def refused(debugger, commands, **options):
    run = debuggers.run_debugger(debugger, commands, **options)
    assert run.status == 1
    return run.stderr


@light(lambda asked_before, debugger: asked_before or debugger == "gdb")
@both
@pytest.mark.parametrize("asked_before", [True, False])
@pytest.mark.parametrize("end", ["cp %s new; mv new core", "mv core old; cp %s core"])
def test_a_file_of_that_name_is_not_taken_for_it(debugger, asked_before, end, mine, plain_core, expected):
    if debugger == "lldb" and not asked_before and "mv core" not in end and os.geteuid() != 0:
        pytest.skip("only root may open what is mapped and has no name")
    command = "cd %s; %s" % (os.path.dirname(mine), end.replace("%s", plain_core))
    commands = [ASK] * asked_before + [SHELL[debugger] % command, ASK]
    assert debuggers.answers(debugger, commands, core=mine)[-1] == expected


@light(lambda asked_before, debugger: asked_before or debugger == "gdb")
@both
@pytest.mark.parametrize("asked_before", [True, False])
def test_a_core_that_is_written_to_is_refused_until_it_is_opened_again(debugger, asked_before, mine, core, plain_core):
    commands = [ASK] * asked_before + [SHELL[debugger] % ("cat %s > %s" % (plain_core, mine)), ASK]
    words = NO_LONGER % (mine, OPEN[debugger] % "FILE")
    assert words in refused(debugger, commands, core=mine)
    shutil.copy(core, mine)
    commands = [ASK, SHELL[debugger] % ("touch %s" % mine), OPEN[debugger] % mine, ASK]
    first, _, _, last = debuggers.answers(debugger, commands, core=mine)
    assert first == last
    assert words in refused(debugger, [commands[0], commands[1], commands[3]], core=mine)


@both
def test_each_of_two_cores_of_one_process_is_itself(debugger, mine, core, expected, tmp_path):
    """The two differ only in the name of a file. The tracer keeps its hash, so the second one is damaged."""
    with open(core, "rb") as file:
        data = file.read()
    assert b"service.py" in data
    (tmp_path / "other").write_bytes(data.replace(b"service.py", b"SERVICE.PY"))
    switch = {"gdb": ["add-inferior -no-connection", "inferior 2"], "lldb": []}[debugger]
    back = {"gdb": "inferior 1", "lldb": "target select 0"}[debugger]
    commands = switch + [OPEN[debugger] % (tmp_path / "other"), ASK, back, ASK]
    answers = debuggers.answers(debugger, commands, core=mine)
    assert " corrupt" in answers[-3] and answers[-1] == expected


@both
def test_a_process_that_has_died_is_reported(debugger, python, service):
    with debuggers.start_traced_process(python, service.script, frames=5) as process:
        # Wait until it is gone or a zombie: until then it runs.
        wait = "while cat /proc/%d/task/*/status 2>/dev/null | grep ^State: | grep -qv Z; do :; done" % process.pid
        kill = "kill -9 %d; %s" % (process.pid, wait)
        words = "the process %d has ended\nAttach to another, or open its core" % process.pid
        assert words in refused(debugger, [ASK, SHELL[debugger] % kill, ASK], pid=process.pid)


@light(lambda name, debugger: isinstance(name, bytes) or debugger == "gdb")
@both
@pytest.mark.parametrize("name", ['it\'s "core", file type x', b"bad\xff\xfe", "a b (deleted)"])
def test_a_core_may_have_any_name(debugger, name, core, expected, tmp_path):
    path = os.path.join(str(tmp_path), os.fsdecode(name))
    shutil.copy(core, path)
    assert debuggers.answers(debugger, [ASK], core=path) == [expected]

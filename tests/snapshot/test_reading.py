"""tm-diff of files dumped by the real tracemalloc says what compare_to() says, to the byte."""

import os
import pickle
import sys
import tracemalloc

import debuggers
import pytest
from snapshot_support import program, run_python
from tracemortem.debugger import engine


def rows_of(text):
    """The rows of an answer of tm-diff, without the lines below them and without the totals."""
    rows = [line for line in text.splitlines() if not line.startswith("  ")]
    return [row for row in rows if ": size=" in row]


def escaped(rows):
    """Escape as the engine escapes names."""
    return [row.replace("\t", "\\t").encode("utf-8", "backslashreplace").decode() for row in rows]


@pytest.mark.parametrize("limit", [1, 25])
def test_what_tracemalloc_dumped_is_compared_as_tracemalloc_does(any_python, limit, ask, tmp_path):
    said = run_python(any_python.path, program("dump.py"), tmp_path, limit)
    assert len(said["names"]) >= 14 and len(said["rows"]) == 6
    for key, rows in said["rows"].items():
        assert len(rows) >= 5
        words = key.replace("*.py", "'*.py'") + " --limit 1000000"
        answer = ask.diff(tmp_path / "old.dump", tmp_path / "new.dump", words)
        assert rows_of(answer) == escaped(rows), key
        for name in said["names"]:
            assert ask.diff(tmp_path / ("old." + name), tmp_path / ("new." + name), words) == answer, (key, name)


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_two_files_need_no_process(debugger, python, ask, tmp_path):
    said = run_python(python.path, program("dump.py"), tmp_path, 3)
    command = "tm-diff %s %s -n 1000 filename" % (tmp_path / "old.dump", tmp_path / "new.dump")
    (answer,) = debuggers.answers(debugger, [command], environment={"LC_ALL": "C.UTF-8"})
    assert rows_of(answer) == escaped(said["rows"]["filename"])


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_snapshot_takes_the_place_of_its_process_on_either_side(debugger, newest, newest_core, tmp_path):
    snapshot = tmp_path / "now.snapshot"
    sides = [newest_core, str(snapshot)]
    # A snapshot has no function names: what it does have is the same.
    for key in ("lineno --plain", "traceback --plain", "filename -c --plain"):
        commands = ["tm-save --force %s" % snapshot, "tm-diff %s %s" % (newest_core, key)]
        commands += ["tm-diff %s %s" % (snapshot, key)]
        commands += ["tm-diff %s %s %s" % (old, new, key) for old in sides for new in sides]
        answers = debuggers.answers(debugger, commands, pid=newest.pid)
        assert "(+0 B)" in answers[1] and len(set(answers[1:])) == 1, answers


class Trap:
    """If it is unpickled, it creates a file."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return open, (self._path, "w")


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_file_which_would_run_something_is_refused(debugger, tmp_path):
    trap, good, sprung = tmp_path / "trap", tmp_path / "good", tmp_path / "sprung"
    tracemalloc.Snapshot([(0, 1, (("a.py", 1),), 1)], 1).dump(str(good))
    snapshot = tracemalloc.Snapshot([(0, 1, (("a.py", 1),), 1), Trap(str(sprung))], 1)
    trap.write_bytes(pickle.dumps(snapshot))
    for line in ("%s %s" % (trap, good), "%s %s" % (good, trap)):
        run = debuggers.run_debugger(debugger, ["tm-diff %s" % line])
        assert run.status == 1 and "Traceback" not in run.stderr
        assert "%s: this is not a snapshot of tracemalloc: at byte" % trap in run.stderr
        assert "the class io.open" in run.stderr or "the class _io.open" in run.stderr, run.stderr
        assert "Give a file that tm-save or Snapshot.dump() of tracemalloc wrote." in run.stderr
    assert not sprung.exists()


def refused(ask, path):
    with pytest.raises(engine.EngineError) as caught:
        ask.diff(path, path)
    return str(caught.value)


OTHERS = {
    "a list": [1, 2],
    "a set": {1},
    "bytes": b"x",
    "a float": 1.5,
    "True": True,
    "another class": tracemalloc.Filter(True, "x"),
    "a function": os.getcwd,
    "the module's own function": tracemalloc.take_snapshot,
}


@pytest.mark.parametrize("what", sorted(OTHERS))
@pytest.mark.parametrize("protocol", [2, 4, pickle.HIGHEST_PROTOCOL])
def test_other_pickles_are_refused(what, protocol, ask, tmp_path):
    path = tmp_path / "other"
    path.write_bytes(pickle.dumps(OTHERS[what], protocol))
    message = refused(ask, path)
    assert message.startswith("%s: this is not a snapshot of tracemalloc: " % path), message
    snapshot = tracemalloc.Snapshot([(0, 1, (("a.py", 1),), 1), OTHERS[what]], 1)
    path.write_bytes(pickle.dumps(snapshot, protocol))
    assert "this is not a snapshot of tracemalloc: " in refused(ask, path)


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_files_which_are_neither_core_nor_snapshot(debugger, tmp_path):
    cases = {b"": "is empty, so not a core file", b"text\n": "does not begin as an ELF file does", b"\x80": "too early"}
    for number, (data, words) in enumerate(cases.items()):
        path = tmp_path / ("file%d" % number)
        path.write_bytes(data)
        run = debuggers.run_debugger(debugger, ["tm-diff %s %s" % (path, path)])
        assert run.status == 1 and str(path) in run.stderr and words in run.stderr, run.stderr


def test_the_module_reads_without_unpickling():
    with open(os.path.join(debuggers.PACKAGE_PATH, "tracemortem", "debugger", "snapshot_file.py")) as file:
        assert "pickle" not in [word for line in file if line.startswith(("import", "from")) for word in line.split()]
    assert "tracemortem.debugger.snapshot_file" in sys.modules

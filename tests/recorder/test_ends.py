"""Which ends leave a file, what it says of them, and how many are left."""

import os
import signal
import subprocess

import debuggers
import pytest
import recordings
from selection import thorough

pytestmark = thorough


def run(python, code, folder, **variables):
    """The exit status of a recorded program."""
    environment = dict(os.environ, LD_PRELOAD=debuggers.TRACER, TRACEMORTEM="3", TRACEMORTEM_FILE=str(folder))
    environment.update(variables)
    return subprocess.run([python, "-c", code], env=environment, timeout=debuggers.PATIENCE).returncode


CLEAN_ENDS = ["pass", "import sys; sys.exit(0)", "import os; os._exit(0)", "raise SystemExit"]


@pytest.mark.parametrize("code", CLEAN_ENDS)
def test_a_clean_end_leaves_nothing(any_python, code, tmp_path):
    assert run(any_python, code, tmp_path) == 0
    assert recordings.files(tmp_path) == []


@pytest.mark.parametrize("code", CLEAN_ENDS)
def test_a_clean_end_leaves_a_file_that_says_so_if_it_is_to_stay(python, code, tmp_path):
    assert run(python, code, tmp_path, TRACEMORTEM_KEEP="always") == 0
    path = recordings.only_file(tmp_path)
    note = recordings.File(path).note
    assert (note.end, note.status) == (recordings.CLEAN, 0) and note.ended > note.made
    recordings.require_whole(path)


@pytest.mark.parametrize(
    "code, status",
    [("import sys; sys.exit(3)", 3), ("raise MemoryError", 1), ("import os; os._exit(258)", 2)],
)
def test_an_exit_with_another_status_leaves_a_file_that_has_it(few_python, code, status, tmp_path):
    assert run(few_python, code, tmp_path) == status
    note = recordings.File(recordings.only_file(tmp_path)).note
    assert (note.end, note.status) == (recordings.EXIT, status)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT, signal.SIGSEGV])
def test_a_signal_leaves_a_file(python, number, tmp_path):
    code = "import os, resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\nos.kill(os.getpid(), %d)" % number
    assert run(python, code, tmp_path) == -number
    assert recordings.File(recordings.only_file(tmp_path)).note.end == recordings.NONE


def test_another_program_leaves_nothing(few_python, tmp_path):
    assert run(few_python, "import os; os.execv('/bin/true', ['true'])", tmp_path) == 0
    assert recordings.files(tmp_path) == []
    code = "import os; os.execv('/bin/true', ['true'])"
    assert run(few_python, code, tmp_path, LD_PRELOAD=debuggers.TRACER, TRACEMORTEM_KEEP="always") == 0
    assert recordings.File(recordings.only_file(tmp_path)).note.end == recordings.EXEC


def test_a_python_that_becomes_itself_again_has_one_file(few_python, tmp_path):
    code = (
        "import os, sys\nif len(sys.argv) == 1: os.execv(sys.executable, [sys.executable, '-c', %r, 'again'])\n"
        "os.kill(os.getpid(), 9)"
    )
    whole = code % (code % "")
    assert run(few_python, whole, tmp_path) == -signal.SIGKILL
    assert len(recordings.files(tmp_path)) == 1


def test_an_exec_that_fails_goes_on_in_a_file(few_python, tmp_path):
    broken = tmp_path / "broken"
    broken.write_text("no program")
    broken.chmod(0o755)
    folder = tmp_path / "files"
    folder.mkdir()
    code = (
        "import os\nfor path in ('/nothing/there', %r):\n    try: os.execv(path, ['x'])\n    except OSError: pass\n"
        "kept = [bytes(100) for _ in range(7000)]\nos.kill(os.getpid(), 9)" % str(broken)
    )
    assert run(few_python, code, folder) == -signal.SIGKILL
    path = recordings.only_file(folder)
    recordings.require_whole(path)
    assert recordings.File(path).note.end == recordings.NONE
    assert recordings.ask(path, "top", "lineno", "-n", 1)["statistics"][0]["count"] >= 7000


KILLED = "import os; os.kill(os.getpid(), 9)"


def test_only_so_many_are_left_and_the_oldest_go(python, tmp_path):
    (tmp_path / "notes.txt").write_text("not ours")
    (tmp_path / "other.tm-core").write_bytes(b"\x7fELF" + bytes(70000))
    with recordings.start(python, "work.py", TRACEMORTEM_FILE=tmp_path) as living:
        mine = os.path.basename(recordings.file_of(tmp_path, living.pid))
        left = []
        for _ in range(5):
            before = set(recordings.files(tmp_path))
            assert run(python, KILLED, tmp_path, TRACEMORTEM_KEEP="3") == -signal.SIGKILL
            left += sorted(set(recordings.files(tmp_path)) - before)
        # When the last one was made, three were left behind at most.
        assert set(recordings.files(tmp_path)) == {"notes.txt", "other.tm-core", mine} | set(left[-4:])
        run(python, "pass", tmp_path, TRACEMORTEM_KEEP="1")
        assert set(recordings.files(tmp_path)) == {"notes.txt", "other.tm-core", mine, left[-1]}
        run(python, "pass", tmp_path, TRACEMORTEM_KEEP="1K")
        assert set(recordings.files(tmp_path)) == {"notes.txt", "other.tm-core", mine}
        recordings.finish(living)


@pytest.mark.parametrize("value", ["never", "3,", "always 3", "5X", ","])
def test_a_bound_that_makes_no_sense_is_said(python, value, tmp_path):
    with recordings.start(python, "work.py", TRACEMORTEM_FILE=tmp_path, TRACEMORTEM_KEEP=value) as process:
        assert process.stderr() == (
            "tracemortem: TRACEMORTEM_KEEP=%s: not always, a number of files, or a size such as 500M; continuing "
            "without tracing\n" % value
        )
        recordings.finish(process)

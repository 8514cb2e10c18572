"""Source lines are those that the debuggers show: of the process's own files, marked where they changed, else left out."""

import os
import subprocess

import debuggers
import pytest
from cli_command import run
from selection import thorough

pytestmark = thorough

PROGRAM = "kept = bytes(7000000)  # the line that ran\nimport os, sys\nos.write(int(os.environ['TM_READY']), b'x\\n')\nsys.stdin.readline()\n"


def started(python, tmp_path, name="own.py"):
    """A process whose code has a name that is relative to its own folder."""
    (tmp_path / name).write_text(PROGRAM)
    environment = {"LD_PRELOAD": debuggers.TRACER, "TRACEMORTEM": "3"}
    return debuggers.start_process([python, name], environment=environment, folder=tmp_path)


def both(process, *words):
    """The command's outcome, whose bytes are gdb's."""
    (expected,) = debuggers.answers("gdb", ["tm-top -n 1"], pid=process.pid)
    outcome = run("top", process.pid, "-n", 1, *words)
    assert debuggers.without_private(outcome.stdout) == expected
    return outcome


def test_a_relative_name_is_relative_to_the_processs_folder(python, tmp_path):
    with started(python, tmp_path) as process:
        outcome = both(process)
        assert "\n    kept = bytes(7000000)  # the line that ran\n" in outcome.stdout and outcome.stderr == ""


def test_a_file_that_changed_is_marked_and_said(python, tmp_path):
    with started(python, tmp_path) as process:
        (tmp_path / "own.py").write_text(PROGRAM.replace("kept", "other"))
        outcome = both(process)
        assert "other = bytes(7000000)  # the line that ran  [may differ from the one that ran]\n" in outcome.stdout
        assert (
            outcome.stderr.startswith('warning: source file "') and "it changed after tracing began" in outcome.stderr
        )


def test_a_file_that_is_gone_or_not_valid_has_no_line(python, tmp_path):
    with started(python, tmp_path) as process:
        (tmp_path / "own.py").write_bytes(b"kept = '\xff'\n")
        assert "\n    " not in run("top", process.pid, "-n", 1).stdout
        (tmp_path / "own.py").unlink()
        assert "\n    " not in both(process).stdout


def test_names_with_bytes_that_are_not_utf_8(python, tmp_path):
    with started(python, tmp_path, os.fsdecode(b"caf\xe9.py")) as process:
        assert "the line that ran" in run("top", process.pid, "-n", 1).stdout


def test_files_below_another_root(tmp_path):
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"]).returncode != 0:
        pytest.skip("only root can have other mounts")
    folder = tmp_path / "mounted"
    folder.mkdir()
    (folder / "svc.py").write_text(PROGRAM.replace("the line that ran", "of another file"))
    (tmp_path / "svc.py").write_text(PROGRAM)
    script = "mount --bind '%s' '%s' && exec /usr/bin/python3 '%s/svc.py'" % (tmp_path, folder, folder)
    environment = {"LD_PRELOAD": debuggers.TRACER, "TRACEMORTEM": "3"}
    with debuggers.start_process(["unshare", "-m", "sh", "-c", script], environment=environment) as process:
        outcome = run("top", process.pid, "-n", 1)
        assert "# the line that ran\n" in outcome.stdout and "another file" not in outcome.stdout


def test_a_core_does_not_say_what_a_relative_name_is_relative_to_and_the_user_may(python, tmp_path):
    (tmp_path / "own.py").write_text(PROGRAM)
    code = "exec(compile(open('own.py').read(), 'own.py', 'exec'))"
    environment = {"LD_PRELOAD": debuggers.TRACER, "TRACEMORTEM": "3"}
    with debuggers.start_process([python, "-c", code], environment=environment, folder=tmp_path) as process:
        assert "the line that ran" in run("top", process.pid, "-n", 1).stdout
        core = debuggers.gcore(process.pid, tmp_path / "x.core")
    outcome = run("top", core, "-n", 1)
    assert outcome.stdout.startswith("own.py:1: size=6836 KiB") and "\n    " not in outcome.stdout
    assert "the core does not say which folder this name is relative to\nIf you know it: --folder DIR" in outcome.stderr
    outcome = run("top", "--folder", tmp_path, core, "-n", 1)
    assert "\n    kept = bytes(7000000)  # the line that ran\n" in outcome.stdout and outcome.stderr == ""
    assert run("top", core, "--folder", "/no/such/folder").status == 2

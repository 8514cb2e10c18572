"""Names of source files mean what they mean to the process; a line that may be another's is marked or left out.

Strategy: files of the same name, here and where the process sees its own. The first tests ask the modules, the last ones
the debuggers. Other roots and mounts need root.
"""

import os
import subprocess
import sys

import debuggers
import pytest
import pythons
from tracemortem.debugger.memory import LocalProcess
from tracemortem.debugger.source_files import HostFiles, SourceFiles, resolve
from tracemortem.debugger.source_lines import SourceLines

WAIT = "import os, sys\nos.write(int(os.environ['TM_READY']), b'ready\\n')\nsys.stdin.readline()\n"
PROGRAM = "kept = bytes(700000)  # the line that ran\n" + WAIT
RAN = "kept = bytes(700000)  # the line that ran\n"
OTHER = "wrong = 1  # a line of another file\n"
MARKED = OTHER.rstrip() + "  [may differ from the one that ran]\n"


# -- the modules


def test_links_lead_where_they_lead_below_the_root(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x.py").write_text("x\n")
    (tmp_path / "absolute").symlink_to("/a/b")
    (tmp_path / "a" / "relative.py").symlink_to("../absolute/./x.py")
    (tmp_path / "above").symlink_to("../../../../a")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "self").symlink_to("/a")
    found = str(tmp_path / "a" / "b" / "x.py")
    for name in (
        "/a/b/x.py",
        "/absolute/x.py",
        "/a/relative.py",
        "/above/b/x.py",
        "//a/../a//b/./x.py",
        "/../a/b/x.py",
    ):
        assert resolve(str(tmp_path), name).path == found
    for name in ("/loop", "/loop/x.py", "/nothing", "/a/b/x.py/y", "/proc/self/b/x.py", "/a\0b", "/" + "a" * 5000):
        assert resolve(str(tmp_path), name).path == ""


def test_a_change_of_the_file_or_of_a_link_on_the_way_marks_its_lines(tmp_path):
    file, link = tmp_path / "x.py", tmp_path / "link.py"
    file.write_text("one\ntwo\n")
    link.symlink_to("x.py")
    changed = os.lstat(str(link)).st_ctime_ns
    for started, latest, changes in ((0, 0, False), (changed, 0, False), (changed - 1, 0, True), (0, 1, True)):
        lines = SourceLines(HostFiles(latest))
        assert lines.line(str(link), 2, started) == ("two\n", changes)
        assert [str(link) in note for note in lines.notes()] == [True] * changes


def test_what_is_not_known_shows_no_line_and_is_said_once():
    for files in (SourceFiles(), HostFiles()):
        lines = SourceLines(files)
        for number in range(1, 4):
            for name in ("own\x1b.py", "other.py", "<string>"):
                assert lines.line(name, number, 0) == ("", False)
        (note,) = lines.notes()
        assert note.startswith('no source lines of "own\\u001b.py" and 1 more: ') and lines.notes() == []


def test_a_process_has_its_own_folder(tmp_path):
    (tmp_path / "own.py").write_text("own\n")
    words = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.readline()"]
    with subprocess.Popen(words, cwd=str(tmp_path), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        files = LocalProcess(child.pid).source_files()
        assert files.find("own.py").path == files.find("./own.py").path == str(tmp_path / "own.py")
        assert files.find("nothing.py") == files.find("os.py") and files.find("os.py").path == ""
        child.stdin.close()


# -- the debuggers


def shown(debugger, process, *before, options="", **more):
    """What is below the row of the program's line, and what the debugger warns of."""
    commands = list(before) + ["tm-top -n 1 --include *app.py" + options]
    run = debuggers.run_debugger(debugger, commands, **(more or {"pid": process.pid}))
    said = run.stdout.splitlines(keepends=True)
    (row,) = [number for number, text in enumerate(said) if "app.py:1: size=684 KiB" in text]
    return said[row + 1].strip(" ") if said[row + 1].startswith("    ") else "", run.stdout + run.stderr


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_relative_name_is_the_processs_and_unknown_in_a_core(debugger, tmp_path, monkeypatch):
    own, other = tmp_path / "own", tmp_path / "other"
    for folder, text in ((own, PROGRAM), (other, OTHER)):
        folder.mkdir()
        (folder / "app.py").write_text(text)
    monkeypatch.chdir(other)
    # CPython 3.8 leaves the name of a script as it is; others do for code of exec().
    code = "exec(compile(open('app.py').read(), 'app.py', 'exec'))"
    words = [pythons.find()[-1].path, "-X", "tracemalloc=1", "-c", code]
    with debuggers.start_process(words, folder=own, environment={"PWD": str(own)}) as process:
        assert shown(debugger, process)[0] == RAN
        core = debuggers.gcore(process.pid, tmp_path / "core")
        line, said = shown(debugger, process, core=core)
        assert line == "" and said.count("the core does not say which folder this name is relative to") == 1
        # Where the shell was is a hint, and nothing is shown on a hint.
        advice = "tm-set folder %s" % own
        assert said.count("has PWD=%s. If that is the folder, type %s\n" % (own, advice)) == 1
        line, said = shown(debugger, process, advice, core=core)
    assert line == RAN and "no source lines" not in said


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_file_deployed_after_the_start_is_marked(debugger, tmp_path):
    for folder, text in (("1", PROGRAM), ("2", OTHER)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "app.py").write_text(text)
    current = tmp_path / "current"
    current.symlink_to("1")
    with debuggers.start_traced_process(pythons.find()[-1].path, current / "app.py", preload=True) as process:
        assert shown(debugger, process)[0] == RAN
        current.unlink()
        current.symlink_to("2")
        line, said = shown(debugger, process)
        assert line == MARKED and said.count("changed after tracing began") == 1
        assert shown(debugger, process, options=" --plain")[0] == ""


# Template engines compile code under the names of their templates.
TEMPLATE = (
    """space = {}
code = "first = 1\\n\\ndef render():\\n    return bytes(500000)\\n"
exec(compile(code, TEMPLATE, "exec"), space)
kept = space["render"]()
"""
    + WAIT
)


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_file_in_which_the_function_begins_nowhere_near_is_marked(debugger, tmp_path):
    template = tmp_path / "app.py"
    template.write_text("<h1>\n{% if render %}\n  {{ page }}\n  {{ end }}\n")
    program = tmp_path / "program"
    program.write_text(TEMPLATE.replace("TEMPLATE", repr(str(template))))
    with debuggers.start_traced_process(pythons.find()[-1].path, program, preload=True) as process:
        commands = ["tm-top -n 1 --include *app.py:4" + options for options in ("", " --plain")]
        marked, plain = debuggers.answers(debugger, commands, pid=process.pid)
    assert "{{ end }}  [may differ from the one that ran: line 3 is not the beginning of render]\n" in marked
    assert "app.py:4: size=488 KiB" in plain and "{{ end }}" not in plain


def unshared(command, folder):
    """Start a command in a mount namespace of its own."""
    if os.geteuid() != 0 or subprocess.call(["unshare", "-m", "true"], stderr=subprocess.DEVNULL) != 0:
        pytest.skip("mount namespaces need root")
    variables = {"PYTHONTRACEMALLOC": "1"}
    return debuggers.start_process(["unshare", "-m", "bash", "-ec", command], environment=variables, folder=folder)


def test_a_file_of_another_mount_namespace_is_the_processs(tmp_path):
    for folder, text in (("private", PROGRAM), ("seen", OTHER)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "app.py").write_text(text)
    python = pythons.find()[-1].path
    with unshared("mount --bind private seen && exec %s %s/seen/app.py" % (python, tmp_path), tmp_path) as process:
        for debugger in debuggers.DEBUGGERS:
            assert shown(debugger, process)[0] == RAN


def test_an_absolute_link_in_another_root_leads_within_it(tmp_path):
    root, real = tmp_path / "root", tmp_path / "real"
    inner = root / str(real)[1:]
    for folder, text in ((inner, PROGRAM), (real, OTHER)):
        folder.mkdir(parents=True)
        (folder / "app.py").write_text(text)
    (root / "link").symlink_to(str(real))
    bound = [name for name in ("usr", "lib", "lib64", "bin", "etc") if os.path.isdir("/" + name)]
    for name in bound:
        (root / name).mkdir()
    command = "for d in %s; do mount --rbind /$d root/$d; done; exec chroot root %s /link/app.py"
    with unshared(command % (" ".join(bound), "/usr/bin/python3"), tmp_path) as process:
        for debugger in debuggers.DEBUGGERS:
            assert shown(debugger, process)[0] == RAN

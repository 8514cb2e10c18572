"""What is said of a recorder's file, of a small core, and of a core whose table is in such a file."""

import json
import os
import shutil
import signal
import struct

import debuggers
import pytest
from cli_command import run
from selection import thorough

NEWER = "The table may be newer than the core: it comes from %s, and the process may have gone on\n"
MOVING = "Read while the process ran: "


def stop(process):
    """Hold it still, as far as it knows."""
    os.kill(process.pid, signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)


def kill(process):
    process.popen.kill()
    process.popen.wait()


def questions(process):
    return [
        "tm-top -n 4",
        "tm-top traceback -n 2 --json",
        "tm-traceback 0x%x" % process.block,
        "tm-traces -n 3",
        "tm-verify",
    ]


def asked(path, lines):
    """What the command line says of it."""
    outcomes = [run(line.split()[0][3:], path, *line.split()[1:]) for line in lines]
    assert all(outcome.status == 0 for outcome in outcomes), outcomes
    return [debuggers.without_private(outcome.stdout) for outcome in outcomes]


def test_a_killed_process_answers_as_it_did(recorded):
    lines = questions(recorded)
    stop(recorded)
    before = asked(recorded.pid, lines)
    assert asked(recorded.file, lines) == before and MOVING not in before[0]
    info = json.loads(run("info", recorded.file, "--json").stdout)["recorder"]
    assert (info["state"], info["process"], info["file"]) == ("file", "lives", recorded.file)
    assert json.loads(run("info", recorded.pid, "--json").stdout)["recorder"]["file"] == recorded.file
    kill(recorded)
    assert asked(recorded.file, lines) == before
    assert json.loads(run("info", recorded.file, "--json").stdout)["recorder"]["process"] == "died"
    text = run("info", recorded.file).stdout
    assert "process:           %d, died: " % recorded.pid in text and "last known moment: 20" in text


@thorough
@pytest.mark.parametrize("debugger", ["gdb", "lldb"])
def test_debuggers_say_the_same(recorded, debugger):
    lines = questions(recorded)
    stop(recorded)
    living = asked(recorded.file, lines)
    assert debuggers.answers(debugger, lines, core=recorded.file) == living
    kill(recorded)
    assert debuggers.answers(debugger, lines, core=recorded.file) == living
    info = [line for line in run("info", recorded.file).stdout.splitlines() if " ago)" not in line]
    (shown,) = debuggers.answers(debugger, ["tm-info"], core=recorded.file)
    assert [line for line in shown.splitlines() if " ago)" not in line] == info


@thorough
def test_what_needs_the_program_says_so(recorded):
    kill(recorded)
    for words in (["top", "type"], ["object", hex(recorded.block)], ["find", "--type", "*"], ["threads"], ["leaks"]):
        outcome = run(words[0], recorded.file, *words[1:])
        assert outcome.status != 0 and outcome.stdout == ""
        assert "has the trace table alone" in outcome.stderr and "gcore PID" in outcome.stderr, outcome
    for debugger, expression in (("gdb", "$rdi"), ("lldb", "$rdi"), ("gdb", "self")):
        outcome = debuggers.run_debugger(debugger, ["tm-traceback %s" % expression], core=recorded.file)
        assert "this file has the trace table alone, no registers" in outcome.stdout + outcome.stderr


@thorough
def test_the_end_of_a_process_is_shown(python, tmp_path):
    for code, words in (("", "exited with status 0"), ("import sys; sys.exit(3)", "exited with status 3")):
        folder = tmp_path / str(len(code))
        folder.mkdir()
        environment = {
            "TRACEMORTEM_FILE": str(folder),
            "TRACEMORTEM_KEEP": "always",
            "LD_PRELOAD": debuggers.TRACER,
            "TRACEMORTEM": "1",
        }
        code = "import os; os.write(int(os.environ['TM_READY']), b'x\\n'); " + code
        with debuggers.start_process([python, "-c", code], environment=environment) as process:
            process.popen.wait()
        (name,) = os.listdir(str(folder))
        assert words in run("info", folder / name).stdout


@thorough
def test_a_file_cannot_be_held_still(recorded):
    outcome = run("top", recorded.file, "--stop")
    assert outcome.status == 2 and "a file cannot be held still" in outcome.stderr


# -- small cores


@thorough
def test_a_saved_table_reads_as_its_target_does(recorded, tmp_path):
    lines = questions(recorded)
    core = debuggers.gcore(recorded.pid, tmp_path / "whole.core")
    stop(recorded)
    for number, target in enumerate((recorded.pid, recorded.file, core)):
        saved = tmp_path / ("saved%d" % number)
        assert run("save", target, saved, "--core").status == 0
        expected = [text.replace(NEWER % recorded.file, "") for text in asked(target, lines)]
        expected = [text.replace(', "table_may_be_newer": true', "") for text in expected]
        assert asked(saved, lines) == expected
        assert "(+0 B), count=" in run("diff", saved, saved).stdout
        again = tmp_path / ("again%d" % number)
        assert run("save", saved, again, "--core").status == 0
        assert asked(again, lines) == expected
    assert "has the trace table alone" in run("threads", tmp_path / "saved0").stderr


@thorough
@pytest.mark.parametrize("debugger", ["gdb", "lldb"])
def test_debuggers_save_the_same_table(recorded, debugger, tmp_path):
    stop(recorded)
    lines = questions(recorded)
    debuggers.answers(debugger, ["tm-save --core %s" % (tmp_path / "saved")], core=recorded.file)
    assert debuggers.answers(debugger, lines, core=tmp_path / "saved") == asked(recorded.file, lines)


@thorough
def test_a_core_keeps_its_private_memory(python, tmp_path):
    script = tmp_path / "plain.py"
    script.write_text("import os, sys; os.write(int(os.environ['TM_READY']), b'x\\n'); sys.stdin.readline()")
    with debuggers.start_traced_process(python, script) as process:
        core = debuggers.gcore(process.pid, tmp_path / "whole.core")
    assert run("save", core, tmp_path / "saved", "--core").status == 0
    of_core, of_saved = run("top", core), run("top", tmp_path / "saved")
    assert of_core == of_saved and "Private memory: " in of_core.stdout
    assert os.path.getsize(str(tmp_path / "saved")) < os.path.getsize(core) / 5


@thorough
def test_what_cannot_be_saved_is_refused(python, tmp_path):
    code = "import os, sys; os.write(int(os.environ['TM_READY']), b'x\\n'); sys.stdin.readline()"
    with debuggers.start_process([python, "-X", "tracemalloc", "-c", code]) as process:
        outcome = run("save", process.pid, tmp_path / "saved", "--core", "--stop")
    assert outcome.status == 1 and "only the trace table of tracemortem's tracer" in outcome.stderr
    assert not (tmp_path / "saved").exists()
    assert run("save", "1", tmp_path / "saved", "--core", "--include", "*").status == 2


@thorough
def test_a_damaged_list_of_mappings_is_reported(recorded, tmp_path):
    kill(recorded)
    damaged = tmp_path / "damaged"
    shutil.copy(recorded.file, str(damaged))
    with open(str(damaged), "r+b") as file:
        file.seek(65536 + 2688)  # root.own
        count, _, _, first = struct.unpack("<QIIQ", file.read(24))
        file.seek(65536 + 32)
        (root,) = struct.unpack("<Q", file.read(8))
        file.seek(65536 + first - root + 2 * 32)  # the second record
        file.write(b"\xff" * 8)
    assert count > 2
    answer = json.loads(run("save", damaged, tmp_path / "saved", "--core", "--json").stdout)
    assert answer["bad_mappings"] == 1
    assert (
        "1 record of the list of the table's mappings are damaged"
        in run("save", damaged, tmp_path / "other", "--core").stdout
    )


# -- a core, and the file that it names


@thorough
def test_a_core_takes_its_table_from_the_file(recorded, tmp_path):
    lines = questions(recorded)
    core = debuggers.gcore(recorded.pid, tmp_path / "whole.core")
    stop(recorded)
    living = asked(recorded.file, lines)
    expected = [text + NEWER % recorded.file for text in living]
    expected[1] = living[1].replace("}\n", ', "table_may_be_newer": true}\n')
    assert asked(core, lines) == expected
    for debugger in ("gdb", "lldb"):
        assert debuggers.answers(debugger, lines, core=core) == expected
    kill(recorded)
    assert asked(core, lines) == expected
    os.rename(recorded.file, str(tmp_path / os.path.basename(recorded.file)))  # beside the core
    assert living[0] in asked(core, lines)[0]


@thorough
def test_a_crash_and_its_file_are_of_one_moment(recorded, tmp_path):
    lines = questions(recorded)
    living = asked(recorded.file, lines)
    made_by = debuggers.kernel_core(recorded, str(tmp_path / "crash.core"))
    if made_by == "kernel":
        assert asked(tmp_path / "crash.core", lines) == living


@thorough
def test_a_core_without_its_file_says_where_the_table_went(recorded, python, tmp_path):
    core = debuggers.gcore(recorded.pid, tmp_path / "whole.core")
    kill(recorded)
    kept = str(tmp_path / "kept")
    os.rename(recorded.file, kept)

    def told(core=core):
        outcome = run("top", core)
        by_gdb = debuggers.run_gdb(["tm-top"], core=core)
        assert outcome.status and outcome.stdout == "" and "echo 0x3b > /proc/PID/coredump_filter" in outcome.stderr
        assert outcome.stderr.replace("tracemortem: ", "", 1) in by_gdb.stderr
        return outcome.stderr

    assert "%s, which is not here\n" % recorded.file in told()
    shutil.copy(kept, recorded.file)
    with open(recorded.file, "r+b") as file:  # the identity in the note
        data = file.read(8192)
        at = data.index(b"TRACEMORTEM\0", 4096) + 12 + 48
        file.seek(at)
        file.write(b"another identity")
    assert "which is not the one that the process had: their identities differ\n" in told()
    with open(recorded.file, "wb") as file:
        file.write(b"something else")
    assert "which is not a recorder's file any more\n" in told()


@thorough
def test_files_that_were_cut_or_overwritten_say_so(recorded, tmp_path):
    kill(recorded)
    cut = tmp_path / "cut.tm-core"
    for size, message in ((0, "is empty, so not a core file"), (40, "ends inside its ELF header"), (4096, "truncated")):
        shutil.copy(recorded.file, str(cut))
        os.truncate(str(cut), size)
        outcome = run("info", cut)
        assert outcome.status != 0 and message in outcome.stderr, (size, outcome)
    shutil.copy(recorded.file, str(cut))
    os.truncate(str(cut), 200000)
    outcome = run("top", cut)
    assert "the recorder's file %s is truncated: " % cut in outcome.stderr
    assert "what is shown is a subset" in outcome.stdout
    with open(str(cut), "r+b") as file:
        file.seek(65536)
        file.write(b"\0" * 4096)
    outcome = run("top", cut)
    assert outcome.status != 0 and outcome.stdout == "" and "no trace table" in outcome.stderr
    with open(str(cut), "r+b") as file:
        at = file.read(8192).index(b"TRACEMORTEM\0", 4096) + 12
        file.seek(at)
        file.write(struct.pack("<I", 99))
    assert "in a form that this tracemortem does not know" in run("top", cut).stderr

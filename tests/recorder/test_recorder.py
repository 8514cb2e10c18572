"""A program that is killed leaves its trace table; one that ends leaves nothing. Names, rights, notes, descriptors."""

import os
import signal
import stat
import struct
import subprocess
import time

import debuggers
import pytest
import recordings
from selection import thorough


def test_a_killed_program_leaves_a_file_that_answers(python, tmp_path):
    with recordings.start(python, "work.py", TRACEMORTEM_FILE=tmp_path) as process:
        path = recordings.only_file(tmp_path)
        assert recordings.is_locked(path)
        process.popen.kill()
        process.popen.wait()
    assert not recordings.is_locked(path)
    recordings.require_whole(path, "work.py")
    note = recordings.File(path).note
    assert (note.version, note.size, note.end, note.ended) == (1, 96, recordings.NONE, 0)


@thorough
def test_each_cpython_records_all_in_the_file_and_a_clean_end_removes_it(any_python, tmp_path):
    wanted = recordings.result(any_python, "work.py")
    with recordings.start(any_python, "work.py", TRACEMORTEM_FILE=tmp_path) as process:
        # `signal` shows what the program would see without us: that nobody has set a handler.
        assert process.first_line in ("ready 0", "ready Handlers.SIG_DFL")
        path = recordings.only_file(tmp_path)
        with recordings.held(process):
            recordings.require_whole(path, "work.py")
        process.tell()
        assert process.ready() == wanted
        with recordings.held(process):
            recordings.require_whole(path)
            grown = recordings.File(path)
            assert recordings.ask(path, "info")["blocks"] > 100000 and grown.recorder.refused == 0
        # The file is as long as what is in it.
        assert sum(segment.file_size for segment in grown.loads) + recordings.HEADER == len(grown.bytes)
        assert os.stat(path).st_blocks * 512 <= len(grown.bytes) + 65536
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0
        assert process.stderr() == ""
    assert recordings.files(tmp_path) == []


def boot_id():
    with open("/proc/sys/kernel/random/boot_id") as file:
        return bytes.fromhex(file.read().strip().replace("-", ""))


@thorough
def test_the_notes_say_whose_file_it_is(python, tmp_path):
    before = time.time_ns()
    with recordings.start(python, "work.py", "a secret", TRACEMORTEM_FILE=tmp_path) as process:
        path = recordings.file_of(tmp_path, process.pid)
        file = recordings.File(path)
        with open("/proc/%d/stat" % process.pid) as status:
            ticks = int(status.read().rsplit(")", 1)[1].split()[19])
        note = file.note
        assert (note.pid, note.start_ticks, note.boot_id) == (process.pid, ticks, boot_id())
        assert note.pid_namespace == os.stat("/proc/self/ns/pid").st_ino and note.outer_pid != 0
        assert before < note.made < time.time_ns()
        assert note.identity == file.recorder.identity != bytes(16)
        assert file.recorder.state == recordings.IN_FILE
        info = file.notes["CORE", 3]
        assert struct.unpack_from("<i", info, 24) == (process.pid,)
        assert info[40:56].rstrip(b"\0").startswith(b"python3") and b"secret" not in info
        assert debuggers.TRACER.encode() in file.modules()
        assert os.path.realpath(python).encode() in file.modules()
    with recordings.start(python, "work.py", "seen", TRACEMORTEM_FILE=tmp_path, TRACEMORTEM_FILE_ARGS="1") as process:
        info = recordings.File(recordings.file_of(tmp_path, process.pid)).notes["CORE", 3]
        assert info[56:].startswith(python.encode() + b" /")


@thorough
def test_names_are_made_of_the_pattern_and_never_an_existing_files(python, tmp_path):
    def made(pattern, inside):
        with recordings.start(python, "work.py", TRACEMORTEM_FILE=pattern, folder=tmp_path) as process:
            (name,) = set(os.listdir(str(inside))) - before
            recordings.finish(process)
            return name.replace(str(process.pid), "PID")

    host = os.uname().nodename
    before = set()
    assert made("one-%p-%h-%%", tmp_path) == "one-PID-%s-%%" % host
    assert made(tmp_path / "%e.%t", tmp_path).startswith("python3")
    inner = tmp_path / "a % folder"
    inner.mkdir()
    assert made("a %% folder", inner).endswith("-PID.tm-core")
    os.rmdir(str(inner))
    for name in ("same.tm-core", "same"):
        (tmp_path / name).write_text("precious")
        before = {"same.tm-core", "same"} & set(os.listdir(str(tmp_path)))
        assert made(name, tmp_path) == {"same": "same.1", "same.tm-core": "same.1.tm-core"}[name]
        assert (tmp_path / name).read_text() == "precious"
    # A link is not followed, even one to a file that is missing.
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    before = set(os.listdir(str(tmp_path)))
    assert made("link", tmp_path) == "link.1" and not (tmp_path / "elsewhere").exists()


@thorough
def test_nobody_else_may_read_it_and_no_low_descriptor_is_taken(python, tmp_path):
    with recordings.start(python, "work.py", TRACEMORTEM_FILE=tmp_path) as process:
        path = recordings.only_file(tmp_path)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o400
        links = {}
        for number in os.listdir("/proc/%d/fd" % process.pid):
            links[int(number)] = os.readlink("/proc/%d/fd/%s" % (process.pid, number))
        (number,) = [number for number, link in links.items() if link == path]
        assert number >= 900


@pytest.mark.parametrize("value", ["/tmp/%x", "/tmp/%", "%q-%p"])
@thorough
def test_a_pattern_that_makes_no_sense_is_said_and_nothing_is_traced(python, value):
    with recordings.start(python, "work.py", TRACEMORTEM_FILE=value) as process:
        assert process.stderr() == (
            "tracemortem: TRACEMORTEM_FILE=%s: not a file's name in which each %% is %%p, %%h, %%t, %%e or %%%%; "
            "continuing without tracing\n" % value
        )
        recordings.finish(process)


@thorough
def test_the_launchers_option_is_not_seen_by_the_program(python, tmp_path):
    code = "import os; print(sorted(k for k in os.environ if 'TRACEM' in k), len(os.listdir(%r)))" % str(tmp_path)
    command = [python, "-m", "tracemortem", "-o", str(tmp_path) + "/", "-c", code]
    run = subprocess.run(command, stdout=subprocess.PIPE, env=dict(os.environ, PYTHONPATH=debuggers.PACKAGE_PATH))
    assert run.stdout == b"[] 1\n"
    run = subprocess.run([recordings.COMMAND, "run", "-o", str(tmp_path / "f-%p"), python, "-c", code], stdout=-1)
    assert run.stdout == b"['TRACEMORTEM', 'TRACEMORTEM_FILE'] 1\n"
    assert recordings.files(tmp_path) == []


@thorough
def test_a_program_that_starts_tracing_itself_records_from_then_on(python, tmp_path):
    code = (
        "import os, tracemortem\nassert not os.listdir(%r)\ntracemortem.start(3)\n"
        "kept = [bytes(100) for _ in range(5000)]\nos.kill(os.getpid(), 9)" % str(tmp_path)
    )
    variables = dict(os.environ, PYTHONPATH=debuggers.PACKAGE_PATH, TRACEMORTEM_FILE=str(tmp_path))
    assert subprocess.run([python, "-c", code], env=variables).returncode == -signal.SIGKILL
    path = recordings.only_file(tmp_path)
    recordings.require_whole(path)
    answer = recordings.ask(path, "top", "lineno", "-n", 1)["statistics"][0]
    assert answer["count"] >= 5000 and answer["traceback"][-1]["lineno"] == 4

"""Whatever happens to the file or its folder, the program goes on with the same results, and what is lost is counted."""

import errno
import os
import resource
import shutil
import signal
import time

import debuggers
import pytest
import recordings
from selection import thorough

pytestmark = thorough


@pytest.fixture(scope="module")
def wanted(tmp_path_factory):
    """result(python): what work.py says if nothing is traced."""
    results = {}

    def result(python):
        if python not in results:
            results[python] = recordings.result(python, "work.py")
        return results[python]

    return result


def require_refused(process, path):
    """The program has gone on while the file could not be made longer, and the file is consistent."""
    with recordings.held(process):
        file = recordings.File(path)
        recordings.require_whole(path)
        assert recordings.ask(path, "info")["lost_blocks"] > 0 and file.recorder.refused > 0
    return file.recorder


# ----------------------------------------------------------------------------------------------------------------------
# No space


def test_a_full_file_system_loses_blocks_and_not_the_program(few_python, wanted, mounted):
    folder = mounted("tmpfs", "size=2600k")
    with recordings.start(few_python, "work.py", TRACEMORTEM_FILE=folder) as process:
        process.tell()
        assert process.ready() == wanted(few_python)
        assert require_refused(process, recordings.only_file(folder)).error == errno.ENOSPC
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0
    assert recordings.files(folder) == []


def test_space_that_comes_back_is_used(python, mounted):
    folder = mounted("tmpfs", "size=6m")
    other = folder / "other"
    other.write_bytes(bytes(4 << 20))
    deadline = time.monotonic() + debuggers.PATIENCE
    with recordings.start(python, "growing.py", TRACEMORTEM_FILE=folder) as process:
        path = recordings.file_of(folder, process.pid)
        while not recordings.ask(path, "info")["lost_blocks"]:
            assert time.monotonic() < deadline
        length = os.path.getsize(path)
        other.unlink()
        while os.path.getsize(path) == length:
            assert time.monotonic() < deadline


@pytest.mark.parametrize("error", [errno.EDQUOT, errno.EIO, errno.ENOSPC])
def test_a_refusal_loses_blocks_and_not_the_program(python, wanted, fail_fallocate, error, tmp_path):
    variables = {"TRACEMORTEM_FILE": tmp_path, "TM_FAIL_FALLOCATE": "4:%d" % error}
    with recordings.start(python, "work.py", preload=fail_fallocate, **variables) as process:
        process.tell()
        assert process.ready() == wanted(python)
        assert require_refused(process, recordings.only_file(tmp_path)).error == error


@pytest.mark.parametrize("arguments", [[], ["default"]])
def test_a_limit_for_files_sends_no_signal_to_the_program(few_python, wanted, arguments, tmp_path):
    with recordings.start(few_python, "work.py", *arguments, TRACEMORTEM_FILE=tmp_path) as process:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))
        process.tell()
        assert process.ready() == wanted(few_python)
        assert require_refused(process, recordings.only_file(tmp_path)).error == errno.EFBIG
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0


# ----------------------------------------------------------------------------------------------------------------------
# No file


def require_in_memory(process, why, wanted):
    assert (
        process.stderr() == "tracemortem: TRACEMORTEM_FILE=%s; continuing with the trace table in memory alone\n" % why
    )
    answer = recordings.ask(process.pid, "info", "--stop", "--max-stop", "60s")
    assert answer["blocks"] > 3000 and answer["lost_blocks"] == 0
    assert recordings.finish(process) == wanted


def test_a_file_system_without_reserved_space_is_refused(python, wanted, mounted):
    folder = mounted("ramfs", "size=9m")
    with recordings.start(python, "work.py", TRACEMORTEM_FILE=folder) as process:
        why = "%s/%%e-%%p.tm-core: its file system cannot reserve space for a file that is mapped" % folder
        require_in_memory(process, why, wanted(python))
    assert recordings.files(folder) == []


def test_a_read_only_file_system_is_refused(python, wanted, mounted):
    folder = mounted("tmpfs", "ro")
    with recordings.start(python, "work.py", TRACEMORTEM_FILE=folder) as process:
        require_in_memory(process, "%s/%%e-%%p.tm-core: Read-only file system" % folder, wanted(python))


def test_a_missing_folder_is_refused(python, wanted, tmp_path):
    with recordings.start(python, "work.py", TRACEMORTEM_FILE=tmp_path / "gone" / "file") as process:
        require_in_memory(process, "%s: No such file or directory" % (tmp_path / "gone" / "file"), wanted(python))


def test_a_file_system_that_is_full_already_is_refused(python, wanted, mounted):
    folder = mounted("tmpfs", "size=900k")
    with recordings.start(python, "work.py", TRACEMORTEM_FILE=folder) as process:
        require_in_memory(process, "%s/%%e-%%p.tm-core: No space left on device" % folder, wanted(python))
    assert recordings.files(folder) == []


def test_a_limit_for_files_that_is_too_low_is_refused(python, wanted, tmp_path):
    command = [python, recordings.program("work.py")]
    variables = {"LD_PRELOAD": debuggers.TRACER, "TRACEMORTEM": "4", "TRACEMORTEM_FILE": str(tmp_path)}
    limited = ["sh", "-c", 'ulimit -f 600; exec "$@"', "sh"] + command
    with debuggers.start_process(limited, environment=variables) as process:
        require_in_memory(process, "%s/%%e-%%p.tm-core: File too large" % tmp_path, wanted(python))
    assert recordings.files(tmp_path) == []


# ----------------------------------------------------------------------------------------------------------------------
# Others at work


def remove(path):
    os.unlink(path)


def remove_with_folder(path):
    shutil.rmtree(os.path.dirname(path))


def replace(path):
    with open(path + ".new", "wb") as file:
        file.write(os.urandom(500000))
    os.rename(path + ".new", path)


@pytest.mark.parametrize("harm", [remove, remove_with_folder, replace])
def test_a_file_that_has_lost_its_name_is_recorded_into(few_python, wanted, harm, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with recordings.start(few_python, "work.py", TRACEMORTEM_FILE=folder) as process:
        harm(recordings.only_file(folder))
        process.tell()
        assert process.ready() == wanted(few_python)
        answer = recordings.ask(process.pid, "verify", "--stop", "--max-stop", "60s")
        assert answer["verdict"] in ("healthy", "full")
        assert recordings.ask(process.pid, "info", "--stop", "--max-stop", "60s")["lost_blocks"] == 0
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0
    # What has the name now is not ours to remove.
    assert not folder.exists() or len(recordings.files(folder)) == (1 if harm is replace else 0)


@pytest.mark.parametrize("left", [0, 4096, 65536 + 100, 900000])
def test_a_file_that_is_cut_ends_recording_and_not_the_program(any_python, wanted, left, tmp_path):
    with recordings.start(any_python, "work.py", TRACEMORTEM_FILE=tmp_path) as process:
        path = recordings.only_file(tmp_path)
        root = recordings.File(path).note.root
        with recordings.held(process):
            # What it would store while the file is being cut could be zeroed.
            os.truncate(path, left)
        process.tell()
        assert process.ready() == wanted(any_python)
        with open("/proc/%d/mem" % process.pid, "rb", buffering=0) as memory:
            memory.seek(root)
            assert recordings.recorder_of(memory.read(4096)).state == recordings.CUT
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0, process.stderr()
        assert process.stderr() == ""
    assert recordings.files(tmp_path) == []


def test_a_file_that_is_cut_and_made_longer_again_ends_recording_and_not_the_program(few_python, wanted, tmp_path):
    with recordings.start(few_python, "work.py", TRACEMORTEM_FILE=tmp_path) as process:
        path = recordings.only_file(tmp_path)
        length = os.path.getsize(path)
        os.truncate(path, 0)
        os.truncate(path, length)
        process.tell()
        assert process.ready() == wanted(few_python)
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0, process.stderr()


def test_maps_that_are_refused_take_no_space(python, fail_maps, tmp_path):
    variables = {"TRACEMORTEM_FILE": tmp_path, "preload": fail_maps}
    with recordings.start(python, "refused.py", fail_maps, **variables) as process:
        path = recordings.only_file(tmp_path)
        process.tell()
        assert process.ready() == "0"
        file = require_refused(process, path)
        assert file.error == errno.ENOMEM and file.refused > 20
        # What was reserved for the last one is what the next one gets.
        loads = recordings.File(path).loads
        assert os.path.getsize(path) - max(load.offset + load.file_size for load in loads) < 8 << 20


def test_a_process_whose_file_was_cut_forks_as_ever(few_python, idle_child, tmp_path):
    with recordings.start(few_python, "cut.py", idle_child, TRACEMORTEM_FILE=tmp_path) as process:
        assert process.first_line == "20"
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0 and process.stderr() == ""


def test_an_ignored_bus_error_stays_ignored(python, wanted, tmp_path):
    command = ["sh", "-c", "trap '' BUS; exec \"$@\"", "sh", python, recordings.program("work.py")]
    variables = {"LD_PRELOAD": debuggers.TRACER, "TRACEMORTEM": "4", "TRACEMORTEM_FILE": str(tmp_path)}
    with debuggers.start_process(command, environment=variables) as process:
        with open("/proc/%d/status" % process.pid) as file:
            rows = dict(row.split(":\t", 1) for row in file.read().splitlines() if ":\t" in row)
        bus_error = 1 << signal.SIGBUS - 1
        assert int(rows["SigIgn"], 16) & bus_error and not int(rows["SigCgt"], 16) & bus_error
        assert recordings.files(tmp_path) != [] and recordings.finish(process) == wanted(python)

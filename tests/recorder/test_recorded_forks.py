"""Each forked child has a file of its own, with what its parent had, or says that it has none."""

import os
import re
import signal
import subprocess

import debuggers
import pytest
import recordings
from selection import thorough

pytestmark = thorough

FORKS = 10000 if os.environ.get("TM_TEST_FULL") else 300


def require_child(path, name):
    recordings.require_whole(path, name)
    file = recordings.File(path)
    assert file.recorder.state == recordings.IN_FILE and file.recorder.identity == file.note.identity
    return file


def test_many_forks_change_no_result_and_leave_nothing(few_python, tmp_path):
    with recordings.start(few_python, "forks.py", FORKS, TRACEMORTEM_FILE=tmp_path) as process:
        path = recordings.file_of(tmp_path, process.pid)
        process.tell()
        assert process.ready() == "%d of %d" % (FORKS, FORKS)
        with recordings.held(process):
            recordings.require_whole(path, "forks.py")
        assert recordings.files(tmp_path) == [os.path.basename(path)]
        process.tell()
        assert process.popen.wait() == 0 and process.stderr() == ""
    assert recordings.files(tmp_path) == []


def test_a_child_has_its_parents_blocks_and_its_own(any_python, tmp_path):
    with recordings.start(any_python, "child.py", TRACEMORTEM_FILE=tmp_path) as process:
        child = int(process.first_line)
        parents, childs = (recordings.file_of(tmp_path, pid) for pid in (process.pid, child))
        assert recordings.is_locked(parents) and recordings.is_locked(childs)
        os.kill(child, signal.SIGKILL)
        file = require_child(childs, "child.py")
        assert file.note.pid == child and file.note.identity != recordings.File(parents).note.identity
        with recordings.held(process):
            recordings.require_whole(parents)
            found = recordings.blocks(parents, "child.py")
        sizes = {size: count for (line, size), count in found.items()}
        assert sizes[133] == 3000 and 5001 not in sizes


def test_a_daemon_that_closes_all_descriptors_goes_on_in_its_file(few_python, tmp_path):
    with recordings.start(few_python, "child.py", "daemon", TRACEMORTEM_FILE=tmp_path) as process:
        child = int(process.first_line)
        try:
            path = recordings.file_of(tmp_path, child)
            # It has grown since all descriptors were closed, and has the lock again.
            assert os.path.getsize(path) > 3 << 20 and recordings.is_locked(path)
        finally:
            os.kill(child, signal.SIGKILL)
        require_child(path, "child.py")
        assert len(recordings.files(tmp_path)) == 2  # those between have ended cleanly


def test_a_child_that_can_have_no_file_goes_on_in_memory_and_says_so(few_python, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with recordings.start(few_python, "child.py", "gone", TRACEMORTEM_FILE=folder) as process:
        child = int(process.first_line)
        recordings.require_whole(child, "child.py")
        answer = recordings.ask(child, "verify", "--stop", "--max-stop", "60s")
        with open("/proc/%d/mem" % child, "rb", buffering=0) as memory:
            memory.seek(answer["table_address"])
            recorder = recordings.recorder_of(memory.read(4096))
        os.kill(child, signal.SIGKILL)
        assert (recorder.state, recorder.identity) == (recordings.PRIVATE, bytes(16)) and recorder.error != 0


def test_a_child_that_records_late_has_the_table_of_the_fork(few_python, idle_child, tmp_path):
    variables = {"TRACEMORTEM_FILE": tmp_path, "PYTHONPATH": debuggers.PACKAGE_PATH}
    with recordings.start(few_python, "idle.py", idle_child, **variables) as process:
        child = int(process.first_line)
        path = recordings.file_of(tmp_path, child)
        os.kill(child, signal.SIGKILL)
        require_child(path, "idle.py")
        process.tell()
        assert process.ready() == "200 1", "children that call exec at once make no file"
        with recordings.held(process):
            recordings.require_whole(recordings.file_of(tmp_path, process.pid))
        process.tell()
        assert process.ready() == "20 1", "also when nothing is recorded"


def test_forks_of_a_process_with_threads_leave_whole_tables(few_python, tmp_path):
    with recordings.start(
        few_python, "churn.py", "forks", TRACEMORTEM_FILE=tmp_path, TRACEMORTEM_KEEP="999"
    ) as process:
        path = recordings.file_of(tmp_path, process.pid)
        for _ in range(10):
            # A child, wherever it is.
            pids = [int(re.search(r"-(\d+)[.\d]*\.tm-core$", name).group(1)) for name in recordings.files(tmp_path)]
            for pid in set(pids) - {process.pid}:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        with recordings.held(process):
            recordings.require_whole(path, "churn.py")
    for name in recordings.files(tmp_path):
        left = os.path.join(str(tmp_path), name)
        with open(left, "rb") as file:
            head = file.read(4)
            file.seek(recordings.HEADER)
            state = recordings.recorder_of(file.read(4096) or bytes(4096)).state
            if head != b"\x7fELF" or state != recordings.IN_FILE:
                continue  # it was killed before its table was there
        assert recordings.ask(left, "verify")["verdict"] in ("healthy", "full")


MULTI = """if 1:
    import multiprocessing, os, sys
    def work(n):
        return len([bytes(n) for _ in range(100)])
    if __name__ == "__main__":
        with multiprocessing.get_context(sys.argv[1]).Pool(3) as pool:
            print(sum(pool.map(work, range(50))), len(os.listdir(os.environ["TRACEMORTEM_FILE"])) > 0)
        process = multiprocessing.get_context("fork").Process(target=work, args=(5,))
        process.start()
        process.join()
        print(process.exitcode)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_works_as_ever(few_python, method, tmp_path):
    script = tmp_path / "multi.py"
    script.write_text(MULTI)
    folder = tmp_path / "files"
    folder.mkdir()
    command = [recordings.COMMAND, "run", "-o", str(folder), few_python, str(script), method]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout == b"5000 True\n0\n", run.stderr
    # Workers that the pool has terminated are what is left.
    for name in recordings.files(folder):
        recordings.require_whole(os.path.join(str(folder), name))
    assert len(recordings.files(folder)) <= 3


def test_a_child_that_can_map_neither_file_goes_on_untraced(few_python, fail_maps, tmp_path):
    variables = {"TRACEMORTEM_FILE": tmp_path, "preload": fail_maps}
    with recordings.start(few_python, "refused.py", fail_maps, "child", **variables) as process:
        process.tell()
        assert process.ready() == "0"
        assert recordings.files(tmp_path) == [os.path.basename(recordings.file_of(tmp_path, process.pid))]
        with recordings.held(process):
            recordings.require_whole(recordings.file_of(tmp_path, process.pid), "refused.py")
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0 and process.stderr() == ""


@pytest.mark.parametrize("profile", ["lean", "sampled"])
def test_a_child_that_closes_everything_first_has_the_table_of_the_fork(few_python, profile, tmp_path):
    variables = {"TRACEMORTEM_FILE": tmp_path, "TRACEMORTEM_DETAIL": profile, "TRACEMORTEM_SAMPLE": "65536"}
    with recordings.start(few_python, "closes.py", **variables) as process:
        child, right = process.first_line.split(" ", 1)
        assert right == "120 of 120"
        with recordings.held(process):
            for pid in (process.pid, int(child)):
                require_child(recordings.file_of(tmp_path, pid), None)
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0 and process.stderr() == ""


@pytest.mark.parametrize("way", ["sampled", "stopped", "raw"])
def test_a_child_that_has_no_table_of_its_own_writes_not_its_parents(few_python, idle_child, way, tmp_path):
    variables = {"TRACEMORTEM_FILE": tmp_path, "PYTHONPATH": debuggers.PACKAGE_PATH}
    if way == "sampled":
        variables.update(TRACEMORTEM_DETAIL="sampled", TRACEMORTEM_SAMPLE="1000000000")
    with recordings.start(few_python, "silent.py", idle_child, way, **variables) as process:
        path = recordings.file_of(tmp_path, process.pid)
        with recordings.held(process), open(path, "rb") as file:
            before = file.read()
            os.kill(int(process.first_line), signal.SIGUSR1)
            assert process.ready() == "done"
            file.seek(0)
            assert file.read() == before
        assert way != "raw" or recordings.files(tmp_path) == [os.path.basename(path)]
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0 and process.stderr() == ""
